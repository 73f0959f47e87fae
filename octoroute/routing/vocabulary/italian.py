"""Italian words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

ITALIAN = Language(
    code="it",
    common="""
        il | lo | la | i | gli | le | un | uno | una | di | del | della | dei | delle | dell | e | o | è
        | sono | non | che | in | nel | nella | per | con | su | sul | sulla | al | alla | da | dal | si
        | mi | ti | ci | mio | mia | tuo | tua | io | tu | questo | questa | più | ma | anche | ho | ha
        | sull | tre""",
    lead="""
        per favore | per piacere | puoi | potresti | può | potrebbe | vorrei che tu | voglio che
        | ho bisogno che | aiutami a | aiutami | e | ora | adesso""",
    filler="""
        oggi | domani | tutti | molto | amico | amica | a | bene | te | lei | stasera | per | aiuto | l
        | tanto""",
    greeting="""
        ciao | salve | buongiorno | buon giorno | buonasera | buona sera | buonanotte | buona notte
        | arrivederci | a presto | a domani | grazie | grazie mille | molte grazie | tante grazie
        | buon compleanno | buon natale | auguri | complimenti | scusa | prego | ehi | ehilà""",
    small_talk="""
        come stai | come sta | come va | come ti va | tutto bene | che si dice | che fai | che tempo fa
        | che tempo | com è il tempo | pioverà | fa freddo | fa caldo | raccontami una barzelletta
        | dimmi una barzelletta | una barzelletta | mi annoio | sono annoiato | sono annoiata | chi sei
        | come ti chiami | cosa sai fare | sei un robot | piacere di conoscerti | ti amo | cosa fai
        | che mi racconti | come vanno le cose | hai dormito bene | tutto ok | com è andata la giornata
        | com è andata | come è andata la giornata | com è andato il fine settimana
        | come è andato il weekend""",
    make="""
        scrivi | scrivimi | scrivere | scriva | redigi | crea | creare | creami | componi | comporre
        | inventa | inventare | racconta | raccontami | genera | generare | fai | fammi | fare | dammi
        | costruisci | sviluppa | correggi | correggere | ripara | aggiungi | converti | ottimizza
        | continua | immagina | implementa | vorrei | voglio | ho bisogno di""",
    creative="""
        poesia | poesie | poema | filastrocca | storia | storie | racconto | racconti | favola | fiaba
        | romanzo | canzone | canzoni | testo di una canzone | haiku | sonetto | ballata | copione
        | sceneggiatura | dialogo | scena | discorso | saggio | tema su | articolo per il blog | slogan
        | rima | rime | ninna nanna | monologo | leggenda | personaggio | giallo | thriller | storia d amore
        | lettera d amore | storia dell orrore""",
    style="""
        nello stile di | alla maniera di | c era una volta | gioco di ruolo | immagina di essere
        | fai finta di essere""",
    stage="film | cortometraggio | teatro | attor* | video | podcast",
    programming="""
        codice sorgente | espressione regolare | espressioni regolari | regex | test unitario | test unitari
        | errore di sintassi | errore di compilazione | programmazione | refactor* | rifattorizza | debugga
        | non compila | perdita di memoria | query sql | riga di comando | script bash""",
    script="script",
    thing="""
        funzione | funzioni | classe | programma | codice | algoritmo | query | interrogazione | test | bug
        | errore | errori | applicazione | app | api | modulo | libreria | componente | database | server
        | lista | array | stringa | variabile | ciclo | metodo | eccezione | pagina web | sito web | sito
        | json | csv | file | cartella""",
    plain="""
        email | e mail | mail | lettera | lettera di presentazione | messaggio | risposta | curriculum
        | invito | ricetta | paragrafo | frase | grammatica | ortografia | piano | titolo | più corto
        | più breve""",
    other="""
        traduc* | traduci | riformula* | parafrasa* | correggi la grammatica | estrai | classifica
        | come si dice | vai avanti | prosegui | ancora una volta""",
    summarize="""
        riassumi | riassumimi | riassumere | riassuma | riassunto | sintesi | sintetizza* | punti chiave
        | punti principali | idee principali | in breve | l essenziale | tl dr | tldr | di cosa parla
        | in tre frasi | in due frasi | in una frase | idea principale | in cinque punti""",
    analyze="""
        analizza | analizzare | analizzi | analisi | confronta | confrontare | confronto | paragona | valuta
        | valutare | dimostra | dimostrare | dimostri | prova che | deduci | esamina | progetta | progettare
        | critica | discuti | indaga | ragiona passo dopo passo | pensa passo dopo passo
        | sviluppa una strategia""",
    depth="""
        vantaggi e svantaggi | vantaggi e gli svantaggi | pro e contro | punti di forza e di debolezza
        | causa principale | cause profonde | approfondita | approfondito | in profondità | implicazioni
        | compromessi | architettura per | fattibilità | conseguenze | impatto di | rischi e benefici
        | i pro e i contro""",
    explain="""
        spiega | spiegami | spiegare | spieghi | descrivi | descrivere | descriva | definisci | parlami di
        | cosa significa | calcola* | risolvi | trova | determina | elenca | dimmi""",
    ask="""
        chi | che | che cosa | cosa | quando | dove | dov è | perché | qual | quale | quali | come | com
        | quanto | quanta | quanti | quante | da dove""",
    yes_no="sono | c è | ci sono | posso | si può | devo | esiste",
    elsewhere="""
        fegato | rene | cuore | cervello | organo | alunni | studenti | isola | serpent* | insett*
        | matrimonio | società | scuola | bambini | professore | sociale""",
    urgent="""
        è urgente | molto urgente | è molto importante | questo è importante | è critico
        | la produzione è ferma | prenditi il tuo tempo | sii molto attento | fai molta attenzione
        | sii scrupoloso | nessun errore | estremamente importante""",
    urgent_cry="urgente | importante | critico | emergenza",
    relaxed="""
        domanda veloce | domanda rapida | per curiosità | solo curiosità | senza fretta | non c è fretta
        | non è urgente""",
)
