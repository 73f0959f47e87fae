"""Names of languages, tools and formats, the same in every language of the vocabulary."""

CERTAIN_NAMES = """
    javascript | typescript | c++ | c# | f# | kotlin | golang | haskell | erlang | elixir | clojure | fortran | cobol | php | sql
    | mysql | postgres | postgresql | sqlite | mongodb | redis | graphql | html | css | sass | tailwind | bash | zsh | powershell | numpy | pandas
    | pytorch | tensorflow | keras | opencv | matplotlib | sklearn | scikit | django | flask | fastapi | reactjs | react component | vuejs | vue | nextjs
    | next js | node js | nodejs | jquery | svelte | dockerfile | docker | docker compose | kubernetes | kubectl | terraform | ansible | nginx
    | github | gitlab | npm | pip install | webpack | jvm | dotnet | vba | matlab | verilog | vhdl | systemverilog | assembly code
    | x86 | solidity | lua | luau | webassembly | wasm | qt | opengl | vulkan | cuda | jupyter | selenium | pytest | junit | kafka | spark
    | pyspark | ffmpeg | latex | xlsx | openssl | systemd | python code | python script | python function | python program | python 3
    | python3 | java code | java program | java class | go code | rust code | in python | in java | in golang | in rust
    | in javascript | using python | with python | en python | mit python | met python | w pythonie | na python | на python | с python
    | seaborn | c code | c program | c language | glsl | gdscript | octave code | huggingface | dataframe | testbench
    | npm install | npm run | cargo build | cargo run | docker run | docker ps | docker build | git add | git commit | git push | git pull | git clone
    | git rebase | git merge | git checkout | git stash | git diff | git log | git reset | kubectl get | sudo apt | apt get | apt install | brew install
    | numpy array | react hook | typeerror | valueerror | keyerror | nullpointerexception | segfault | stdin | stdout | std | cout | printf
"""
"""They mean nothing but programming. "In Python" stands here, Python alone does not."""

SHARED_NAMES = """
    python | pythona | pythonie | java | go | rust | ruby | swift | scala | julia | dart | perl | shell | react | angular | express | spring
    | rails | git | linux | ubuntu | windows | excel | unity | unreal | api | azure | aws | arduino | esp32 | raspberry pi | scheme | lisp
    | prolog | ocaml | delphi | pascal | basic | assembly | nix | vim | emacs | vscode
"""
"""They also name a snake, an island, a verb or an office program, so they count for little."""
