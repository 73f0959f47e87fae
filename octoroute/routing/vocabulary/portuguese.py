"""Portuguese words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

PORTUGUESE = Language(
    code="pt",
    common="""
        o | a | os | as | um | uma | uns | de | do | da | dos | das | e | ou | é | são | não | que | em | no
        | na | nos | nas | por | para | com | sem | ao | à | se | seu | sua | meu | minha | eu | você | me
        | te | isso | este | esta | isto | deste | mais | como | mas | muito | foi | está | sim""",
    lead="""
        por favor | você pode | você poderia | pode | poderia | podes | gostaria que | gostaria de
        | eu quero que | quero que | preciso que | me ajude a | ajude me a | e | agora""",
    filler="""
        hoje | amanhã | você | vocês | todos | muito | amigo | amiga | em | bem | pela | ajuda | sua
        | esta noite | contigo""",
    greeting="""
        olá | oi | bom dia | boa tarde | boa noite | tchau | adeus | até logo | até amanhã | obrigado
        | obrigada | muito obrigado | muito obrigada | valeu | feliz aniversário | feliz natal | saudações
        | parabéns | desculpa | de nada | eai""",
    small_talk="""
        tudo bem | tudo bom | como vai | como vai você | como você está | como está você | como estás | e aí
        | beleza | como está o tempo | como está o clima | qual a previsão do tempo | vai chover | está frio
        | conte uma piada | conta uma piada | me conte uma piada | me conta uma piada | uma piada
        | estou entediado | estou entediada | quem é você | qual é o seu nome | qual o seu nome
        | o que você pode fazer | você é um robô | prazer em conhecê lo | te amo | tudo certo
        | o que você está fazendo | como vão as coisas | dormiu bem | tudo bem com você | como foi seu dia
        | como foi o seu dia | como foi seu fim de semana | como foi o fim de semana | como tem passado""",
    make="""
        escreva | escreve | escrever | redija | redigir | crie | cria | criar | componha | compor | invente
        | inventa | inventar | conte | conta | gere | gerar | faça | faz | fazer | dê me | me dê | construa
        | desenvolva | corrija | corrigir | conserte | adicione | converta | otimize | continue | programe
        | imagine | implemente | quero | preciso | preciso de""",
    creative="""
        poema* | poesia | conto | contos | história | historinha | narrativa | romance | canção | canções
        | música | letra de música | letra | haicai | soneto | fábula | roteiro de | diálogo | cena
        | discurso | ensaio | redação | artigo de blog | post de blog | slogan | rima* | cantiga | monólogo
        | lenda | personagem | peça de teatro | suspense | carta de amor | história de terror
        | poema de amor | romance policial""",
    style="""
        no estilo de | ao estilo de | era uma vez | imagine que você é | finja que você é
        | jogo de interpretação""",
    stage="filme* | curta metragem | teatro | ator | atores | vídeo | podcast",
    programming="""
        código fonte | expressão regular | expressões regulares | regex | teste unitário | testes unitários
        | erro de sintaxe | erro de compilação | programação | refatore | refatorar | depure | depurar
        | vazamento de memória | consulta sql | linha de comando | script bash""",
    script="script | scripts | roteiro",
    thing="""
        função | funções | classe | programa | código | algoritmo | consulta | teste | testes | bug | erro
        | erros | aplicativo | app | aplicação | api | módulo | biblioteca | componente | banco de dados
        | servidor | lista | array | string | variável | laço | método | exceção | página web | site | json
        | csv | arquivos | ficheiros | pasta""",
    plain="""
        email | e mail | carta | carta de apresentação | mensagem | resposta | currículo | convite | receita
        | parágrafo | frase | gramática | ortografia | plano | título | mais curto""",
    other="tradu* | reformul* | parafraseie | revise a gramática | extraia | classifique | como se diz | prossiga | de novo | segue",
    summarize="""
        resuma | resume | resumir | resumo | síntese | sintetize | pontos principais | pontos chave
        | ideias principais | em poucas palavras | o essencial | tl dr | tldr | do que trata
        | em três frases | em duas frases | em uma frase | ideia principal | resumo curto""",
    analyze="""
        analise | analisa | analisar | compare | compara | comparar | comparação | avalie | avalia | avaliar
        | prove | provar | demonstre | demonstra | demonstrar | deduza | examine | projete | projetar
        | critique | discuta | investigue | raciocine passo a passo | pense passo a passo
        | desenvolva uma estratégia""",
    depth="""
        vantagens e desvantagens | vantagens e as desvantagens | prós e contras | pontos fortes e fracos
        | causa raiz | causas profundas | em profundidade | aprofundada | implicações | arquitetura para
        | viabilidade | consequências | impactos de | impactos econômicos | riscos e benefícios
        | os prós e contras""",
    explain="""
        explique | explica | me explique | explicar | descreva | descreve | descrever | defina | define
        | fale sobre | fale me sobre | o que significa | calcule | calcula | resolva | encontre | determine
        | cite | diga""",
    ask="""
        quem | o que | que | quando | onde | por que | porque | qual | quais | como | quanto | quanta
        | quantos | quantas | de onde""",
    yes_no="são | há | existe | posso | pode se | devo | tem",
    elsewhere="""
        fígado | rim | coração | cérebro | órgão | alunos | estudantes | ilha | cobra* | inseto* | casamento
        | sociedade | escola | crianças | professor | social | filme""",
    urgent="""
        é urgente | muito urgente | é muito importante | isto é importante | isso é importante | é crítico
        | produção caiu | produção está fora | não tenha pressa | seja minucioso | tenha muito cuidado
        | seja cuidadoso | sem erros | extremamente importante""",
    urgent_cry="urgente | importante | crítico | emergência",
    relaxed="pergunta rápida | por curiosidade | só curiosidade | sem pressa | não é urgente",
)
