"""English words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

ENGLISH = Language(
    code="en",
    common="""
        the | a | an | of | to | in | is | are | was | and | or | for | on | with | that | this | it | you
        | i | me | my | your | be | by | at | from | not | do | does | have | has | if | but | they | there
        | he | she | we""",
    lead="""
        please | pls | kindly | can you | could you | would you | will you | can u | you should
        | i want you to | i would like you to | i d like you to | i need you to | i want to | i need to
        | i d like to | i would like to | help me to | help me | help | let us | let s | lets | then | next
        | first | also | ok | okay | your task is to | try to | quickly | just | can we | how about you""",
    filler="""
        there | everyone | everybody | all | guys | folks | buddy | friend | my friend | mate | man | dude
        | bro | today | tomorrow | tonight | this week | now | again | so much | very much | a lot | so
        | very | much | in | here | outside | right now | oh | well | too | and you | for | that was
        | that is | that s | you | your | the | it | helpful | great | nice | perfect | good one | funny
        | awesome | cool | any | claude | chatgpt | assistant | bot | ai | and | a | an | over there | hope
        | food | colour | color | hobby | about cats | it s | i m | my name is""",
    greeting="""
        hello | hi | hey | hiya | heya | howdy | yo | greetings | good morning | good afternoon
        | good evening | good night | goodnight | good day | bye | goodbye | see you | see ya
        | see you later | cheers | thanks | thank you | thx | ty | thank u | many thanks | lol | haha
        | hahaha | welcome back | happy birthday | merry christmas | happy new year | have a nice day
        | sweet dreams | take care | morning | evening | night night | heya there | congrats
        | congratulations | good luck | sorry | no problem | you re welcome""",
    small_talk="""
        how are you | how are you doing | how are u | how s it going | how is it going | hows it going
        | how are things | what s up | whats up | what is up | wassup | sup | how have you been
        | how was your day | how is your day | how s your day | how do you do | how do you feel
        | nice to meet you | pleased to meet you | what s new | what s the weather | whats the weather
        | what is the weather | what s the weather like | whats the weather like | what is the weather like
        | how s the weather | how is the weather | what will the weather be like | is it going to rain
        | will it rain | is it raining | is it cold | is it warm | nice weather | tell me a joke
        | tell me another joke | tell a joke | tell me something funny | know any jokes
        | know any good jokes | do you know any jokes | do you know any good jokes | do you know a joke
        | know a joke | make me laugh | i m bored | i am bored | im bored | i m tired | i m sad | i m happy
        | i m lonely | let s chat | lets chat | let s talk | just saying hi | just wanted to say hi
        | who are you | what are you | what s your name | what is your name | are you a robot
        | are you human | are you there | are you real | do you like me | i love you | i like you
        | what are you doing | what can you do | tell me about yourself | hope you re well
        | hope you are well | hope you re having a good day | hope you are having a good day
        | i hope you are doing well | sleep well | did you sleep well | what s your favorite
        | what is your favorite | what s your favourite | what is your favourite | you re awesome
        | you are awesome | you re great | you are great | you re funny | you re the best | good to see you
        | long time no see | i missed you | i miss you | what s going on | what s happening
        | how have you been doing | what s cooking | nothing much | not much | how was your weekend
        | how was your evening | how was your night | how did you sleep | how was work | how is your weekend
        | what are you up to | just wanted to say thank you | just wanted to say thanks
        | i just wanted to say thank you | a funny joke | tell me a funny joke | another joke | it s so hot
        | it s so cold | it s hot today | it s cold today | that s hilarious | that s funny
        | i had a great day | i had a bad day | what s your favorite movie | what s your favorite song
        | what s your favorite book | what is your favorite movie""",
    make="""
        write | rewrite | create | make | make up | generate | compose | draft | give me | give us
        | come up with | produce | build | code me | develop | fix | add | review | convert | continue
        | invent | tell me | tell us | show me | complete | finish | modify | change | update | improve
        | optimize | optimise | port | sketch | craft | provide | provide me with | correct | i want
        | i need | i d like | i would like | tell my | rename | port this""",
    creative="""
        poem | poems | poetry | story | stories | short story | tale | tales | fairy tale | bedtime story
        | haiku | haikus | sonnet | limerick | ballad | ode | lyrics | song lyrics | song | songs | rap
        | verse | verses | novel | novella | fanfic | fan fiction | fanfiction | screenplay | film script
        | movie script | monologue | dialogue | scene | plot | chapter of | essay | speech | toast | eulogy
        | blog post | blogpost | blog article | article about | slogan | slogans | tagline | taglines
        | jingle | nursery rhyme | rhyme | rhymes | lullaby | riddle | riddles | parody | satire | fable
        | myth | legend | backstory | character | worldbuilding | love letter | melody | diary entry
        | sketch about | love poem | rap battle | plot twist | plot twists | noir novel | love story
        | scary story | ghost story | bedtime stories | paragraph of a novel | sonnets | limericks
        | love song | script for a play | murder mystery | vows | wedding vows | comedy sketch
        | stand up routine | children s book | bedtime tale | acrostic | prose | opening paragraph
        | first paragraph of a novel | thriller | noir | crime novel | memoir | chapter one | cliffhanger
        | tongue twister | pun | puns | villain | protagonist | creation myth | humorous speech""",
    style="""
        in the style of | once upon a time | roleplay | role play | role playing | rp with me
        | pretend you are | pretend to be | imagine you are a | creative writing | write creatively
        | brainstorm names | in the voice of | in the tone of | as if you were | from the perspective of
        | in the manner of | written by shakespeare""",
    stage="""
        film | films | short film | movie | movies | theatre | theater | sitcom | tv show | stage play
        | play | video | podcast | commercial | school play""",
    programming="""
        regex | regexp | regular expression | regular expressions | unit test | unit tests | stack trace
        | stacktrace | traceback | source code | codebase | pull request | merge request | refactor | debug
        | debugging | debugger | compiler error | compile error | segmentation fault | segfault
        | null pointer | nullpointerexception | memory leak | race condition | code review | code snippet
        | programming | coding | merge conflict | rest api | api endpoint | web server | web app | webapp
        | web scraper | command line | sql query | database schema | type hint | type hints | linked list
        | binary tree | binary search | hash table | hashmap | recursion | unit testing | pseudocode
        | code golf | boilerplate | syntax error | login endpoint | lru cache | design a function
        | design a class | design a program | design a query | following code | code below | below code
        | this function | this code | my code | this script | makefile | cron job | shell script
        | bash script | docker container | async await | callback function | for loop | while loop
        | last commit | time complexity | space complexity | big o | merge sort | quicksort | stack overflow
        | undefined reference | borrow checker | off by one | landing page in html | curl command
        | environment variable | npm package | config file | cli tool | rest client | code base | frontend
        | backend | front end code | back end code | foreign key | primary key | database migration
        | unit tested | mock object | ssh key | log file | exception handling | dependency injection
        | design pattern | workflow that runs | github actions | process is using port | which process
        | let and var | click handler | ci pipeline | log files""",
    script="script | scripts",
    thing="""
        function | functions | method | methods | class | classes | program | programs | code | codes
        | algorithm | algorithms | query | queries | test | tests | bug | bugs | app | application | api
        | apis | endpoint | module | library | package | component | database | server | parser | compiler
        | interface | struct | array | arrays | string | strings | list | lists | cache | dict | dictionary
        | tuple | integer | integers | variable | variables | loop | json | csv | yaml | xml | exception
        | compile | compiles | parse | sort | website | webpage | web page | framework | thread | pointer
        | repository | repo | commit | deploy | cli | gui | plugin | middleware | crashes | exit code
        | snippet | macro | formula | implement""",
    plain="""
        email | emails | e mail | mail | letter | cover letter | message | text message | reply | resume
        | cv | invitation | recipe | recipes | paragraph | sentence | sentences | grammar | spelling | typos
        | list of | table of | plan | itinerary | schedule | agenda | job description | tweet | post
        | caption | title | press release | report | shorter | longer | translation | packing list
        | shopping list | guest list | to do list | todo list | reading list | bucket list | grocery list
        | checklist | linkedin post | instagram caption | product description | meal plan | travel plan
        | study plan | announcement | thank you note | complaint | bio | headline | name for | names for
        | ideas for | ideas | user stories | user story""",
    other="""
        translate | proofread | paraphrase | rephrase | reword | spell check | spellcheck | transcribe
        | how do you say | classify | reformat | recommend me | recommend | suggest | reply to | go on | proceed | go ahead | keep going | carry on | undo | revert | retry | try again""",
    summarize="""
        summarize | summarise | summarizing | summary | summaries | summarization | sum up | tl;dr | tldr
        | key points | main points | key takeaways | main takeaways | takeaways | main ideas | main idea
        | gist | condense | shorten this text | shorten the text | shorten this article | synopsis
        | in a nutshell | recap | boil down | digest of | executive summary | abstract for | abstract of
        | make this shorter | make it shorter | most important points | essentials | the essentials
        | key facts | key messages | main argument | main arguments | boil this down | boil it down
        | cliff notes | in one sentence | in two sentences | in three sentences | what is this article about
        | what is this text about | what is this document about | in brief | what does this document say
        | what does this article say | what does this text say""",
    analyze="""
        analyze | analyse | analysis | analyses | compare | contrast | comparison | evaluate | assess
        | critically assess | critique | prove | proof that | derive | investigate | examine critically
        | design a | design an | design the | architect | develop a strategy | come up with a strategy
        | devise | prove that | proof of | discuss the | discuss both sides | reason step by step
        | think step by step | think carefully | think deeply | weigh | show that | walk me through why | argue | argue for | argue against | discuss | debate | reason about
        | think through | justify | explore the | red team | devise a | rank | plan a migration | plan a zero downtime | plan the migration""",
    depth="""
        trade off | trade offs | tradeoffs | tradeoff | pros and cons | advantages and disadvantages
        | strengths and weaknesses | root cause | root causes | in depth | in detail analysis
        | comprehensive analysis | first principles | architecture for | system design | implications
        | ethical implications | step by step reasoning | critical analysis | literature review | swot
        | feasibility | cost benefit | compare and contrast | risk assessment | threat model
        | security audit | both sides | critically | long term consequences | consequences of
        | long term effects | impact of | risks and benefits | costs and benefits | pros cons | risks
        | in great detail | thorough analysis | both sides of""",
    explain="""
        explain | describe | define | tell me about | what does it mean | teach me | elaborate on | clarify
        | give an example of | give me an example of | name the | name a | name three | list the | list all
        | list some | list three | list five | list ten | state the | calculate | compute | solve | find
        | determine | identify | simplify | answer | tell me the | tell me how | tell me why | tell me what
        | tell me who | tell me when | tell me where | meaning of | definition of | walk me through | how to
        | what does""",
    ask="""
        who | whom | whose | what | what s | whats | when | where | where s | why | which | how | how many
        | how much | how long | how far | how old | whats the | who s | when s | how s""",
    yes_no="""
        is | are | was | were | do | does | did | can i | can a | can the | can | could | should | will
        | would | has | have | am i""",
    elsewhere="""
        liver | kidney | heart | brain | organ | cell | cells | students | pupils | teacher | school | grade
        | kids | children | island | volcano | volcanoes | insect | insects | snake | snakes | legs | beetle
        | wedding | yoga | workout | fitness | training | coffee | gym | drugs | postal | zip | dress | area
        | eight legs | bird | society | social | working class | middle class | math test | driving test
        | blood test | genetic | actor | vaccine | lives | zoo | does a python | do pythons | can a python
        | ball python | monty python | pythons""",
    urgent="""
        this is urgent | it s urgent | it is urgent | very urgent | urgent help | urgently need
        | need this asap | need it asap | need help asap | this is critical | it s critical
        | this is mission critical | mission critical | extremely important | this is important
        | this is very important | this is really important | it is very important
        | this is extremely important | it s very important | production is down | prod is down
        | production down | site is down | take your time | be thorough | be very thorough | be very careful
        | be extremely careful | high stakes | stakes are high | my job depends on | life or death
        | lives depend on | must be correct | has to be correct | no mistakes | don t make any mistakes
        | double check your | think very carefully | our production is down | the production is down
        | our site is down | the site is down | server is down | our server is down | please be careful
        | be careful with this | please be thorough""",
    urgent_cry="urgent | critical | important | emergency | asap | high priority | sos",
    relaxed="""
        quick question | just curious | just out of curiosity | out of curiosity | no rush | no hurry
        | not urgent | not important | low priority | when you have time | whenever you have time
        | doesn t matter much | just wondering | not a big deal""",
)
