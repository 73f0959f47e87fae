"""Polish words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

POLISH = Language(
    code="pl",
    common="""
        i | w | z | ze | na | do | o | od | po | za | dla | przez | jest | są | nie | się | to | ten | ta
        | te | tego | tej | ja | ty | on | ona | my | mój | moja | moje | mi | mnie | co | że | jak | ale
        | czy | lub | oraz | by | która | który | które | bardzo | dziś | tak""",
    lead="proszę | czy możesz | możesz | mógłbyś | mogłabyś | chcę żebyś | pomóż mi | a | i | teraz | mi",
    filler="""
        dziś | dzisiaj | jutro | wszystkim | bardzo | przyjacielu | dobrze | w | u ciebie | ty | za pomoc
        | wielkie""",
    greeting="""
        cześć | hej | witaj | witam | siema | dzień dobry | dobry wieczór | dobranoc | do widzenia
        | na razie | pa | dzięki | dziękuję | dziękuję bardzo | wielkie dzięki | wszystkiego najlepszego
        | hejka | siemka | przepraszam | gratulacje | elo""",
    small_talk="""
        jak się masz | jak leci | co słychać | co tam | jak się czujesz | jak tam | jaka jest pogoda
        | jaka jest dziś pogoda | jaka jest dzisiaj pogoda | jaka pogoda | jaka będzie pogoda
        | czy będzie padać | opowiedz żart | opowiedz mi żart | opowiedz dowcip | opowiedz mi dowcip
        | nudzę się | nudzi mi się | kim jesteś | jak masz na imię | co potrafisz | jesteś robotem
        | miło cię poznać | kocham cię | co u ciebie | co u ciebie słychać | co robisz | jak minął dzień
        | wszystko w porządku | jak ci mija dzień | jak minął weekend | jak weekend | jak ci minął dzień
        | jak minął ci dzień""",
    make="""
        napisz | napiszcie | pisać | napisać | stwórz | stworzyć | utwórz | wygeneruj | ułóż | wymyśl
        | opowiedz | skomponuj | zrób | zrobić | daj | zbuduj | popraw | napraw | dodaj | przekonwertuj
        | zoptymalizuj | kontynuuj opowiadanie | zaprogramuj | zaimplementuj | przygotuj | podaj | chcę
        | chciałbym | chciałabym | potrzebuję""",
    creative="""
        wiersz* | poemat* | opowiadanie | opowiadania | historię | historyjkę | bajk* | baśń | powieść
        | piosenk* | tekst piosenki | haiku | sonet | ballad* | scenariusz | dialog | scen* | przemówienie
        | esej | rozprawk* | wypracowanie | wpis na blog* | slogan | hasło reklamowe | rymowank* | kołysank*
        | monolog | legend* | kryminał | thriller | horror | list miłosny | opowieść | historyjka | historia""",
    style="w stylu | dawno dawno temu | odgrywanie ról | wyobraź sobie że jesteś | udawaj że jesteś",
    stage="film* | teatr* | aktor* | podcast",
    programming="""
        kod źródłowy | wyrażenie regularne | wyrażenia regularne | regex | test jednostkowy
        | testy jednostkowe | błąd składni | błąd kompilacji | programowani* | zrefaktoryzuj | refaktor*
        | zdebuguj | wyciek pamięci | zapytanie sql | wiersz poleceń""",
    script="skrypt*",
    thing="""
        funkcj* | klas* | program | programu | kod | kodu | kodzie | algorytm* | zapytanie | test | testy
        | bug | błąd | błędy | wyjątek | aplikacj* | api | moduł* | bibliotek* | komponent* | baz* danych
        | serwer* | list* | tablic* | zmienn* | pętl* | metod* | stron* internetow* | json | csv | plik*
        | folder*""",
    plain="""
        email | e mail | mail | list do | list motywacyjny | wiadomość | odpowiedź | cv | zaproszenie
        | przepis | akapit | zdanie | gramatyk* | ortografi* | plan | tytuł""",
    other="przetłumacz* | tłumacz* | sparafrazuj | przeredaguj | wyodrębnij | sklasyfikuj | jak powiedzieć | dalej | kontynuuj | jeszcze raz",
    summarize="""
        streść | streszczenie | streszcz* | podsumuj | podsumowanie | skrót | najważniejsze punkty
        | kluczowe punkty | główne punkty | główne myśli | w skrócie | tl dr | tldr | o czym jest
        | w trzech zdaniach | w dwóch zdaniach | w jednym zdaniu | główna myśl""",
    analyze="""
        przeanalizuj | analizuj | analiz* | porównaj | porównanie | oceń | udowodnij | dowiedź | wyprowadź
        | zbadaj | zaprojektuj | omów krytycznie | przedyskutuj | rozważ | myśl krok po kroku
        | rozumuj krok po kroku | opracuj strategię""",
    depth="""
        zalety i wady | zalet i wad | wady i zalety | mocne i słabe strony | plusy i minusy | za i przeciw
        | przyczyn* źródłow* | dogłębn* | kompromis* | implikacj* | architektur* dla | wykonalnoś* | skutki
        | konsekwencje | krytycznie | korzyści i ryzyka | za i przeciwko""",
    explain="""
        wyjaśnij | wytłumacz | opisz | zdefiniuj | opowiedz o | opowiedz mi o | co oznacza | oblicz
        | rozwiąż | znajdź | wyznacz | wymień | powiedz""",
    ask="""
        kto | kogo | komu | czyj | co | czym | kiedy | gdzie | skąd | dokąd | dlaczego | czemu | który
        | która | które | jaki | jaka | jakie | jak | ile | w jaki sposób | którym | którego | której
        | jakim | jakiej | jakich | czyja | odkąd | po co | na czym | o czym""",
    yes_no="czy | można",
    elsewhere="""
        wątrob* | nerk* | serc* | mózg* | uczni* | student* | wysp* | wąż | węże | owad* | wesel*
        | społeczn* | szkoł* | dzieci | nauczyciel*""",
    urgent="""
        to pilne | to jest pilne | bardzo pilne | to bardzo ważne | to jest ważne | to krytyczne
        | produkcja leży | produkcja nie działa | nie spiesz się | bądź dokładny | bądź bardzo ostrożny
        | bez błędów""",
    urgent_cry="pilne | ważne | krytyczne | awaria",
    relaxed="""
        szybkie pytanie | krótkie pytanie | z ciekawości | tak z ciekawości | nie ma pośpiechu
        | bez pośpiechu | niepilne""",
)
