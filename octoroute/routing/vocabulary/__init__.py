"""The words that inference knows: one file a language, and programming's names, which are the same in all.

To add a language, copy a file, translate it, and name it in `LANGUAGES`.
"""

from octoroute.routing.vocabulary.arabic import ARABIC
from octoroute.routing.vocabulary.chinese import CHINESE
from octoroute.routing.vocabulary.dutch import DUTCH
from octoroute.routing.vocabulary.english import ENGLISH
from octoroute.routing.vocabulary.french import FRENCH
from octoroute.routing.vocabulary.german import GERMAN
from octoroute.routing.vocabulary.hindi import HINDI
from octoroute.routing.vocabulary.italian import ITALIAN
from octoroute.routing.vocabulary.japanese import JAPANESE
from octoroute.routing.vocabulary.korean import KOREAN
from octoroute.routing.vocabulary.language import Language
from octoroute.routing.vocabulary.names import CERTAIN_NAMES, SHARED_NAMES
from octoroute.routing.vocabulary.polish import POLISH
from octoroute.routing.vocabulary.portuguese import PORTUGUESE
from octoroute.routing.vocabulary.russian import RUSSIAN
from octoroute.routing.vocabulary.spanish import SPANISH
from octoroute.routing.vocabulary.turkish import TURKISH

__all__ = ["CERTAIN_NAMES", "LANGUAGES", "SHARED_NAMES", "Language"]

LANGUAGES = (
    ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN, DUTCH, POLISH, TURKISH,
    RUSSIAN, CHINESE, JAPANESE, KOREAN, ARABIC, HINDI,
)  # fmt: skip
"""In the order in which ties between languages are settled."""
