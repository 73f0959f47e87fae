"""French words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

FRENCH = Language(
    code="fr",
    common="""
        le | la | les | un | une | des | du | de | d | l | et | ou | est | sont | ne | pas | je | tu | il
        | elle | nous | vous | mon | ma | mes | ton | ta | ce | cet | cette | ces | qui | que | qu | dans
        | en | sur | pour | par | avec | sans | au | aux | plus | moi | se | y | j | c | oui""",
    lead="""
        s il te plaît | s il vous plaît | stp | svp | peux tu | peux tu m | peux tu me | pourrais tu
        | pourriez vous | pouvez vous | je veux que tu | aide moi à | et | maintenant | tu peux""",
    filler="""
        aujourd hui | demain | beaucoup | bien | toi | vous | tout le monde | tous | mon ami | à | super
        | ce soir | pour | ton aide | très | les amis""",
    greeting="""
        bonjour | bonsoir | salut | coucou | bonne nuit | bonne journée | au revoir | à bientôt | à plus
        | merci | merci beaucoup | merci bien | mille mercis | joyeux anniversaire | joyeux noël | bienvenue
        | félicitations | hello | pardon | de rien""",
    small_talk="""
        ça va | comment ça va | comment vas tu | comment allez vous | comment tu vas | tu vas bien
        | vous allez bien | quoi de neuf | ça roule | quel temps fait il | quel temps | il fait beau
        | il pleut | va t il pleuvoir | météo du jour | raconte moi une blague | raconte une blague
        | une blague | je m ennuie | qui es tu | comment tu t appelles | comment t appelles tu
        | que sais tu faire | es tu un robot | enchanté | je t aime | tu fais quoi | que fais tu
        | quoi de beau | tout va bien | tu as bien dormi | comment s est passée ta journée
        | comment s est passé ton week end | ta journée s est bien passée | ton week end
        | comment était ta journée""",
    make="""
        écris | écris moi | écrire | écrivez | rédige | rédiger | rédigez | crée | créer | créez | compose
        | composer | invente | inventer | imagine | raconte | raconte moi | génère | générer | fais
        | fais moi | faire | donne moi | donner | construis | développe | corrige | corriger | répare
        | ajoute | convertis | optimise | continue | propose | implémente | je voudrais | j aimerais
        | j ai besoin de | j ai besoin d""",
    creative="""
        poème* | poésie | histoire pour | histoire | histoires | conte | contes | nouvelle | roman | chanson
        | chansons | paroles | haïku | sonnet | ballade | fable | scénario | pièce de théâtre | dialogue
        | scène | discours | essai | dissertation | article de blog | slogan | comptine | berceuse
        | monologue | rime* | légende | personnage | polar | thriller | roman policier | histoire drôle
        | lettre d amour | poème d amour""",
    style="dans le style de | il était une fois | jeu de rôle | imagine que tu es | fais comme si tu étais",
    stage="film | films | court métrage | théâtre | acteur* | vidéo | podcast",
    programming="""
        fonction python | code source | expression régulière | expressions régulières | regex
        | test unitaire | tests unitaires | erreur de compilation | erreur de syntaxe | trace d appel
        | programmation | refactorise* | débogue* | fuite de mémoire | base de code | requête sql
        | ligne de commande | script bash | compile pas""",
    script="script | scripts",
    thing="""
        fonction | programme | fonctions | classe | code | algorithme | requête | test | tests | bug | bugs
        | erreur | appli | application | api | module | bibliothèque | composant | base de données | serveur
        | liste | tableau | chaîne | variable | boucle | méthode | exception | site web | json | csv
        | fichiers | dossier | trier""",
    plain="""
        email | e mail | mail | courriel | lettre | lettre de motivation | message | réponse | cv
        | invitation | recette | paragraphe | phrase | grammaire | orthographe | plan | titre | plus court""",
    other="tradui* | reformule* | relis | corrige l orthographe | extrais | classe ces | comment dit on | vas y | encore une fois | poursuis",
    summarize="""
        résume | résume moi | résumer | résumez | synthèse | synthétise* | points clés | points essentiels
        | points principaux | idées principales | idées clés | en bref | l essentiel | tl dr | tldr
        | compte rendu | condense | l essentiel de | de quoi parle | en trois phrases | en deux phrases
        | en une phrase | idée principale""",
    analyze="""
        analyse | analyser | analysez | compare | comparer | comparez | évalue | évaluer | évaluez
        | démontre | démontrer | démontrez | prouve | prouver | prouvez | examine | conçois | concevoir
        | critique | discute | étudie les | déduis | réfléchis étape par étape | raisonne étape par étape
        | comparaison | élabore une stratégie""",
    depth="""
        avantages et inconvénients | avantages et les inconvénients | avantages et désavantages
        | forces et faiblesses | pour et contre | pour et le contre | cause profonde | causes profondes
        | cause racine | compromis | en profondeur | approfondie | approfondi | implications | enjeux
        | architecture d un | étude de faisabilité | conséquences à long terme | conséquences | impact de
        | risques et bénéfices | les risques""",
    explain="""
        explique | explique moi | expliquer | expliquez | décris | décrire | décrivez | définis | définir
        | parle moi de | que signifie | calcule* | résous | trouve | détermine | cite | dis moi""",
    ask="""
        qui | que | qu est ce que | qu est ce qui | qu | quoi | quand | où | pourquoi | comment | combien
        | combien de | quel | quelle | quels | quelles | lequel | laquelle""",
    yes_no="est ce que | est ce qu | est il | y a t il | peut on | puis je | dois je | faut il",
    elsewhere="""
        foie | rein | coeur | cerveau | organe | élèves | île | serpent* | insecte* | mariage | société
        | école | enfants | professeur | sociale""",
    urgent="""
        c est urgent | très urgent | c est très important | c est important | c est critique
        | la production est en panne | prends ton temps | sois très prudent | sois rigoureux
        | sois minutieux | aucune erreur | extrêmement important""",
    urgent_cry="urgent | important | urgence",
    relaxed="""
        petite question | question rapide | simple curiosité | par curiosité | rien ne presse | pas urgent
        | pas pressé""",
)
