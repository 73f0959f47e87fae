"""Dutch words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

DUTCH = Language(
    code="nl",
    common="""
        de | het | een | en | of | is | zijn | niet | ik | je | jij | u | hij | zij | we | wij | mijn | jouw
        | van | voor | op | met | te | aan | bij | naar | uit | dat | dit | die | deze | er | maar | ook
        | nog | wordt | hebben | heeft | over | mij | me | in | ja""",
    lead="""
        alsjeblieft | alstublieft | kun je | kan je | kunt u | zou je | ik wil dat je | help me om
        | help me met | help me | en | nu | kun je me | kan je me""",
    filler="""
        vandaag | morgen | allemaal | heel | erg | veel | vriend | in | goed | vanavond | voor | je | hulp
        | mensen""",
    greeting="""
        hallo | hoi | hey | dag | goedemorgen | goedemiddag | goedenavond | goedenacht | welterusten
        | tot ziens | tot later | doei | bedankt | dank je | dank je wel | dankjewel | dank u | dank u wel
        | hartelijk dank | gefeliciteerd | hé | hee | hoi hoi | goeiemorgen | sorry | proficiat""",
    small_talk="""
        hoe gaat het | hoe gaat het met je | hoe gaat het met jou | hoe gaat het met u | hoe gaat t
        | hoe is het | alles goed | wat is het weer | hoe is het weer | wat voor weer is het
        | hoe wordt het weer | gaat het regenen | vertel een grap | vertel me een grap | ken je een mop
        | ik verveel me | wie ben je | hoe heet je | wat kun je | ben je een robot | leuk je te ontmoeten
        | ik hou van je | alles goed met je | wat doe je | hoe was je dag | goed geslapen | alles oké
        | wat ben je aan het doen | hoe was je weekend | hoe was je avond | hoe was het weekend
        | hoe was jouw dag""",
    make="""
        schrijf | schrijven | maak | maken | creëer | genereer | verzin | bedenk | vertel | vertel me
        | componeer | stel op | bouw | ontwikkel | geef | geef me | verbeter | repareer | los op | voeg toe
        | voeg | converteer | optimaliseer | ga verder met | programmeer | implementeer | ik wil
        | ik zou graag | ik heb nodig""",
    creative="""
        gedicht* | verhaal | verhalen | verhaaltje | verhaaltje voor het slapengaan | kort verhaal
        | sprookje* | roman | lied | liedje | liedjes | liedtekst | songtekst | haiku | sonnet | ballade
        | scenario | toneelstuk | dialoog | scène | toespraak | essay | opstel | blogpost | blogartikel
        | slogan | rijm* | fabel | slaapliedje | monoloog | legende | personage | spannend verhaal
        | spannend kort verhaal | spookverhaal | griezelverhaal | liefdesverhaal | thriller | liefdesbrief""",
    style="in de stijl van | er was eens | rollenspel | doe alsof je | stel je voor dat je",
    stage="film | films | korte film | theater | acteur* | video | podcast",
    programming="""
        python functie | python script | broncode | reguliere expressie | reguliere expressies | regex
        | unittest | unittests | unit test | unit tests | syntaxfout | compileerfout | programmeren
        | programmeertaal | refactor* | debug | geheugenlek | sql query | opdrachtregel""",
    script="script | scripts",
    thing="""
        functie | functies | klasse | programma | code | algoritme | query | test | tests | bug | bugs
        | fout | foutmelding | app | applicatie | api | module | bibliotheek | component | database | server
        | lijst | array | string | variabele | lus | methode | uitzondering | website | webpagina | json
        | csv | bestanden | map""",
    plain="""
        email | e mail | mail | brief | sollicitatiebrief | bericht | antwoord | cv | uitnodiging | recept
        | alinea | zin | grammatica | spelling | plan | titel | korter""",
    other="vertaal* | herschrijf | herformuleer | parafraseer | haal eruit | classificeer | hoe zeg je | ga door | ga verder | verder | nogmaals | opnieuw",
    summarize="""
        vat samen | vat | samenvatting | samenvatten | samengevat | kernpunten | hoofdpunten
        | belangrijkste punten | in het kort | kort samengevat | tl dr | tldr | waar gaat dit over
        | waar gaat dit artikel over | in drie zinnen | in twee zinnen | in één zin""",
    analyze="""
        analyseer | analyseren | analyse | vergelijk | vergelijken | vergelijking | beoordeel | evalueer
        | bewijs | bewijzen | bewijs dat | leid af | onderzoek | ontwerp | ontwerpen | bespreek
        | bekritiseer | redeneer stap voor stap | denk stap voor stap | ontwikkel een strategie""",
    depth="""
        voor en nadelen | voordelen en nadelen | sterke en zwakke punten | grondoorzaak | hoofdoorzaak
        | diepgaand* | afweging* | implicaties | gevolgen op lange termijn | architectuur voor
        | haalbaarheid | gevolgen van | grondig | langetermijngevolgen | voors en tegens
        | risico s en voordelen""",
    explain="""
        leg uit | leg me uit | leg | uitleggen | verklaar | beschrijf | definieer | vertel me over
        | wat betekent | bereken | los | vind | bepaal | noem | zeg me""",
    ask="""
        wie | wat | wanneer | waar | waarom | welke | welk | hoe | hoeveel | hoe lang | hoe ver | hoe oud
        | waarvan | waarmee | waarvoor""",
    yes_no="is | zijn | heeft | kan ik | mag ik | moet ik | kan men | bestaat er",
    elsewhere="""
        lever | nier | hart | hersenen | orgaan | leerlingen | studenten | eiland | slang* | insect*
        | bruiloft | maatschappij | school | kinderen | leraar""",
    urgent="""
        dit is dringend | het is dringend | heel dringend | erg belangrijk | dit is belangrijk
        | dit is kritiek | productie ligt plat | neem de tijd | wees grondig | wees heel voorzichtig
        | geen fouten | uiterst belangrijk""",
    urgent_cry="dringend | belangrijk | noodgeval | spoed",
    relaxed="snelle vraag | vraagje | uit nieuwsgierigheid | geen haast | niet dringend",
)
