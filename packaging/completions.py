"""Write the shell completions into the folder that is named, as `share` below a prefix has them."""

from __future__ import annotations

import sys
from pathlib import Path

from click.shell_completion import get_completion_class

from octoroute.cli import main

PLACES = {
    "bash": "bash-completion/completions/octoroute",
    "zsh": "zsh/site-functions/_octoroute",
    "fish": "fish/vendor_completions.d/octoroute.fish",
}
"""Where each shell looks, below /usr/share and /usr/local/share."""


def script(shell: str) -> str:
    """What a shell sources: it asks the program itself, with a variable set, what may follow."""
    completion = get_completion_class(shell)
    assert completion is not None
    return completion(main, {}, "octoroute", "_OCTOROUTE_COMPLETE").source()


if __name__ == "__main__":
    for shell, place in PLACES.items():
        path = Path(sys.argv[1], place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(shell), encoding="utf-8")
