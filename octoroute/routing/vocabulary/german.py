"""German words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

GERMAN = Language(
    code="de",
    common="""
        der | die | das | den | dem | des | und | oder | ist | sind | nicht | ein | eine | einen | einem
        | einer | ich | du | er | sie | es | wir | mir | mich | mein | meine | zu | mit | von | für | auf
        | im | in | am | zum | zur | wie | aber | dass | auch | noch | bei | nach | über | diese | dieser
        | dieses | diesen""",
    lead="""
        bitte | kannst du | kannst du mir | könntest du | könnten sie | können sie | würdest du
        | ich möchte dass du | hilf mir | ich will | mal | und | nun | jetzt | mir""",
    filler="""
        heute | morgen | dir | ihnen | euch | alle | zusammen | leute | das hat geholfen | sehr | vielmals
        | schön | gut | in | so | mein | freund | toll | super | prima | hier | draußen | für | die | hilfe
        | deine | dann | bei dir""",
    greeting="""
        hallo | hi | hey | servus | moin | grüß gott | grüezi | guten morgen | guten tag | guten abend
        | gute nacht | tschüss | auf wiedersehen | bis später | bis bald | danke | danke schön | dankeschön
        | vielen dank | herzlichen dank | alles gute zum geburtstag | frohe weihnachten | na | hallöchen
        | mahlzeit | grüß dich | glückwunsch | schönen guten abend | schönen guten morgen
        | schönen guten tag | schönen tag""",
    small_talk="""
        wie geht es dir | wie geht es ihnen | wie geht s | wie gehts | wie geht s dir | wie gehts dir
        | was geht | wie läuft s | wie war dein tag | wie ist das wetter | wie wird das wetter
        | was macht das wetter | wird es regnen | regnet es | scheint die sonne | erzähl mir einen witz
        | erzähle mir einen witz | erzähl einen witz | kennst du einen witz | mir ist langweilig
        | wer bist du | wie heißt du | was machst du | was kannst du | bist du ein mensch
        | bist du ein roboter | schön dich kennenzulernen | ich liebe dich | alles klar | alles klar bei dir
        | na wie geht s | alles gut | was gibt s neues | was machst du gerade | hoffe dir geht es gut
        | hast du gut geschlafen | wie war dein wochenende | wie war dein abend | wie war die nacht
        | wie war dein morgen | wie läuft es | erzähl einen guten witz""",
    make="""
        schreib | schreibe | schreiben | schreiben sie | erstell* | verfass* | erzeug* | generier* | erzähl
        | erzähle | erzählen | erfinde* | denk dir | mach | mache | machen | gib mir | baue | bau
        | programmier* | implementier* | korrigier* | reparier* | behebe | ergänze | füge | konvertier*
        | optimier* | überprüfe | setze | setz | komponier* | nenne mir | zeig mir | zeige mir | reime
        | reim | ich möchte ein | ich hätte gerne | dichte | ich möchte | ich brauche | ich hätte gern""",
    creative="""
        gedicht* | geschichte | geschichten | kurzgeschichte* | gutenachtgeschichte* | märchen | erzählung
        | novelle | roman | romanfigur | liedtext* | lied | songtext* | haiku | sonett | limerick | ballade
        | drehbuch | essay | aufsatz | rede | blogbeitrag | blogartikel | fabel | dialog | szene
        | kinderreim | reim* | theaterstück | slogan | hochzeitsrede | schlaflied | monolog | figur | krimi
        | krimis | thriller | science fiction geschichte | liebesbrief | liebesgedicht | horrorgeschichte
        | witzige rede""",
    style="im stil von | es war einmal | rollenspiel | stell dir vor du bist | tu so als wärst du",
    stage="film* | kurzfilm* | theater | schauspieler | podcast | video",
    programming="""
        python funktion | python skript | unit test | unit tests | quellcode | quelltext
        | regulärer ausdruck | reguläre ausdrücke | regex | stacktrace | nullpointerexception | kompiliert
        | kompilierfehler | syntaxfehler | programmiersprache | programmieren | refaktorier* | refactor*
        | debugge | datenbankabfrage | schnittstelle | speicherleck | codebasis | pull request""",
    script="skript | skripte | script",
    thing="""
        funktion | funktionen | klasse | klassen | programm | code | algorithmus | abfrage | test | tests
        | fehler | bug | bugs | app | api | modul | bibliothek | komponente | datenbank | server | parser
        | liste | array | zeichenkette | variable | schleife | methode | ausnahme | webseite | website
        | json | csv | dateien | ordner""",
    plain="""
        email | e mail | mail | brief | anschreiben | bewerbung | lebenslauf | nachricht | antwort
        | einladung | rezept | absatz | satz | grammatik | rechtschreibung | plan | titel | kürzer | länger
        | tabelle | betreff""",
    other="""
        übersetz* | korrekturlesen | umformulier* | formuliere um | formulier* | extrahier* | klassifizier*
        | wie sagt man | weiter | nochmal | fahr fort | mach das""",
    summarize="""
        zusammenfass* | fass | fasse | fass zusammen | fasse zusammen | kurzfassung | die wichtigsten punkte
        | wichtigsten punkte | wichtigste punkte | kernaussagen | kernpunkte | hauptaussagen | hauptpunkte
        | stichpunktartig | tl dr | tldr | in kürze | wesentliche | kürze diesen text | worum geht es in
        | in drei sätzen | in zwei sätzen | in einem satz | das wesentliche | kernaussage""",
    analyze="""
        analysier* | analyse | vergleich | vergleiche | vergleichen sie | bewerte | bewerten | beurteil*
        | beweis | beweise | beweisen | leite her | herleitung | untersuche* | entwirf eine architektur
        | entwirf ein system | entwickle eine strategie | diskutiere | erörtere | wäge ab
        | denke schritt für schritt | evaluier* | konzipier* | entwirf""",
    depth="""
        vor und nachteile | vor und nachteilen | vorteile und nachteile | stärken und schwächen
        | ursachenanalyse | grundursache | abwägung* | tiefgehend* | tiefgreifend* | auswirkungen
        | zielkonflikt* | im detail analysieren | machbarkeit | systemarchitektur | ausführliche analyse
        | für und wider | folgen | langfristigen folgen | langfristige folgen | pro und contra
        | ausführlich erörtern | risiken und chancen | chancen und risiken | tief gehend""",
    explain="""
        erklär | erkläre | erklären | erläuter* | beschreib | beschreibe | beschreiben | definier* | nenne
        | was bedeutet | erzähl mir von | berechne* | löse | bestimme | ermittle | finde | sag mir""",
    ask="""
        wer | wen | wem | wessen | was | wann | wo | woher | wohin | warum | wieso | weshalb | welche
        | welcher | welches | welchen | wie | wie viele | wieviel | wie viel | wie lange | wie weit
        | wie alt | worin | womit | wozu | welchem | seit wann | bis wann | worum | wofür | inwiefern""",
    yes_no="""
        ist | sind | war | hat | haben | gibt es | kann man | kann ich | darf ich | darf man | soll ich
        | muss ich | muss man | können""",
    elsewhere="""
        leber | niere | herz | gehirn | organ | schüler* | lehrer* | insel | schlange* | insekt* | hochzeit
        | gesellschaft* | yoga | kinder | schule | beine""",
    urgent="""
        das ist dringend | es ist dringend | sehr dringend | ist sehr wichtig | das ist wichtig
        | ist extrem wichtig | das ist kritisch | produktion steht | produktion ist ausgefallen
        | nimm dir zeit | sei gründlich | sei sehr sorgfältig | sei besonders sorgfältig | darf kein fehler""",
    urgent_cry="dringend | wichtig | notfall | eilt | kritisch",
    relaxed="""
        kurze frage | nur so aus neugier | aus neugier | keine eile | eilt nicht | nicht dringend
        | nicht so wichtig | nur mal so""",
)
