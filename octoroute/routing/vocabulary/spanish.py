"""Spanish words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

SPANISH = Language(
    code="es",
    common="""
        el | la | los | las | un | una | unos | de | del | y | o | es | son | no | que | en | por | para
        | con | sin | al | lo | se | su | sus | mi | mis | tu | yo | me | te | le | nos | este | esta
        | estos | muy | más | como | pero | hay | siguiente""",
    lead="""
        por favor | puedes | podrías | puede | podría | me puedes | me gustaría que | me gustaría
        | quiero que | necesito que | ayúdame a | ayúdame | y | ahora | ok""",
    filler="""
        hoy | mañana | muchas | mucho | tú | todos | amigo | amiga | a | en | bien | esta noche | muy | por
        | tu ayuda | todo""",
    greeting="""
        hola | buenas | buenos días | buenas tardes | buenas noches | adiós | hasta luego | hasta mañana
        | chao | gracias | muchas gracias | mil gracias | feliz cumpleaños | feliz navidad | saludos
        | felicidades | perdón | de nada | qué onda""",
    small_talk="""
        cómo estás | cómo está usted | cómo está | cómo te va | qué tal | qué tal estás | qué hay | qué pasa
        | cómo va todo | qué tiempo hace | qué tiempo | cómo está el tiempo | cómo está el clima
        | qué clima hace | va a llover | hace calor | cuéntame un chiste | dime un chiste | un chiste
        | estoy aburrido | estoy aburrida | me aburro | quién eres | cómo te llamas | qué puedes hacer
        | eres un robot | mucho gusto | encantado | te quiero | todo bien | qué haces | qué cuentas
        | cómo andas | dormiste bien | qué tal tu día | cómo estuvo tu día | cómo fue tu día
        | qué tal el fin de semana | cómo fue tu fin de semana | cómo te fue""",
    make="""
        escribe | escríbeme | escribir | escriba | redacta | redactar | crea | crear | cree | compón
        | componer | inventa | inventar | cuenta | cuéntame | genera | generar | haz | hazme | hacer | dame
        | construye | desarrolla | corrige | corregir | arregla | añade | agrega | convierte | optimiza
        | continúa | imagina | implementa | quiero | necesito""",
    creative="""
        poema* | poesía | cuento | cuentos | historia sobre | historia de amor | historia para | relato
        | relatos | novela | canción | canciones | letra | haiku | soneto | balada | fábula | guion de
        | diálogo | escena | discurso | ensayo | artículo de blog | entrada de blog | eslogan | rima* | nana
        | monólogo | leyenda | personaje | obra de teatro | historia de | una historia | thriller
        | novela negra | carta de amor | historia de terror""",
    style="al estilo de | érase una vez | había una vez | juego de rol | imagina que eres | finge que eres",
    stage="película* | cortometraje | teatro | actor* | video | podcast",
    programming="""
        código fuente | expresión regular | expresiones regulares | regex | prueba unitaria
        | pruebas unitarias | tests unitarios | error de sintaxis | error de compilación | programación
        | refactoriza* | depura* | fuga de memoria | consulta sql | línea de comandos | script de bash
        | base de código""",
    script="script | guion",
    thing="""
        función | programa | funciones | clase | código | algoritmo | consulta | prueba | test | tests | bug
        | error | errores | aplicación | app | api | módulo | biblioteca | componente | base de datos
        | servidor | lista | arreglo | cadena | variable | bucle | método | excepción | página web
        | sitio web | json | csv | archivos | carpeta""",
    plain="""
        email | e mail | correo | correo electrónico | carta | carta de presentación | mensaje | respuesta
        | currículum | invitación | receta | párrafo | frase | gramática | ortografía | plan | título
        | más corto""",
    other="tradu* | reformula* | parafrasea* | corrige la ortografía | extrae | clasifica | cómo se dice | sigue | adelante | otra vez",
    summarize="""
        resume | resúmeme | resumir | resuma | resumen | síntesis | sintetiza* | puntos clave
        | puntos principales | ideas principales | ideas clave | en pocas palabras | lo esencial | tl dr
        | tldr | condensa | resúmelo | resumirlo | de qué trata | en tres frases | en dos frases
        | en una frase | idea principal""",
    analyze="""
        analiza | analizar | analice | análisis | compara | comparar | compare | comparación | evalúa
        | evaluar | evalúe | demuestra | demostrar | demuestre | prueba que | deduce | examina | diseña
        | diseñar | critica | discute | investiga | razona paso a paso | piensa paso a paso
        | desarrolla una estrategia""",
    depth="""
        ventajas y desventajas | ventajas y las desventajas | ventajas e inconvenientes | pros y contras
        | fortalezas y debilidades | causa raíz | causas profundas | en profundidad | a fondo | exhaustivo
        | implicaciones | compensaciones | arquitectura para | viabilidad | consecuencias
        | consecuencias a largo plazo | impacto de | riesgos y beneficios | críticamente
        | los pros y los contras""",
    explain="""
        explica | explícame | explicar | explique | describe | describir | describa | define | definir
        | háblame de | qué significa | calcula* | resuelve | encuentra | determina | enumera | dime""",
    ask="""
        quién | quiénes | qué | cuándo | dónde | por qué | cuál | cuáles | cómo | cuánto | cuánta | cuántos
        | cuántas | a qué | de dónde | en qué""",
    yes_no="es | son | hay | puedo | se puede | debo | tiene | existe",
    elsewhere="""
        hígado | riñón | corazón | cerebro | órgano | alumnos | estudiantes | isla | serpiente* | insecto*
        | boda | sociedad | escuela | niños | profesor | social | película""",
    urgent="""
        es urgente | muy urgente | es muy importante | esto es importante | es crítico
        | producción está caída | tómate tu tiempo | sé muy cuidadoso | ten mucho cuidado | sé minucioso
        | sin errores | extremadamente importante""",
    urgent_cry="urgente | importante | crítico | emergencia",
    relaxed="""
        pregunta rápida | una preguntita | por curiosidad | solo curiosidad | sin prisa | no hay prisa
        | no es urgente""",
)
