"""Names of languages, tools and formats, the same in every language of the vocabulary."""

CERTAIN_NAMES = """
    python | pythona | pythonie | pythonu | javascript | typescript | c++ | c# | f# | kotlin | golang
    | haskell | erlang | clojure | fortran | cobol | php | sql | mysql | postgres | postgresql | sqlite
    | mongodb | redis | graphql | html | css | sass | tailwind | zsh | powershell | numpy | pytorch
    | tensorflow | keras | opencv | matplotlib | sklearn | scikit | django | fastapi | reactjs
    | react component | vuejs | nextjs | next js | node js | nodejs | jquery | svelte | dockerfile | docker
    | docker compose | kubernetes | kubectl | ansible | nginx | github | gitlab | npm | pip install
    | webpack | jvm | dotnet | vba | matlab | verilog | vhdl | systemverilog | assembly code | x86 | luau
    | webassembly | wasm | opengl | jupyter | pytest | junit | pyspark | ffmpeg | xlsx | openssl | systemd
    | python code | python script | python function | python program | python 3 | python3 | java code
    | java program | java class | go code | rust code | in python | in java | in golang | in rust | in go
    | go program | go function | apache spark | apache kafka | vue js | c++ code | import pandas
    | bash command | in javascript | using python | with python | en python | mit python | met python
    | w pythonie | na python | на python | с python | seaborn | c code | c program | c language | glsl
    | gdscript | octave code | huggingface | dataframe | testbench | npm install | npm run | cargo build
    | cargo run | docker run | docker ps | docker build | git add | git commit | git push | git pull
    | git clone | git rebase | git merge | git checkout | git stash | git diff | git log | git reset
    | kubectl get | sudo apt | apt get | apt install | brew install | numpy array | react hook | typeerror
    | valueerror | keyerror | nullpointerexception | segfault | stdin | stdout | cout | printf
"""
"""They mean nothing but programming. English has "does a python" elsewhere."""

SHARED_NAMES = """
    lua | spark | flask | kafka | latex | selenium | solidity | bash | elixir | terraform | vulkan | pandas
    | cuda | java | rust | ruby | swift | scala | julia | dart | perl | shell | react | angular | rails
    | git | linux | ubuntu | windows | excel | api | azure | aws | arduino | esp32 | raspberry pi | scheme
    | lisp | prolog | ocaml | delphi | pascal | assembly | nix | vim | emacs | vscode
"""
"""They also name an island, a gem, a verb or an office program, so they count for little."""
