# Everything a developer does here. `just` alone lists the recipes; without just, see the Makefile.
set positional-arguments
set shell := ["bash", "-cu"]  # "${@:2}" is bash's

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
python := ".venv/bin/python"

[private]
default:
    @just --list --unsorted

# make the environment with everything that development needs
setup:
    make .venv/check.done .venv/llama.done

# lint, formatting, async lint, types and the everyday tests: what CI runs
check: lint format-check async-lint types test

# ruff's rules, and shellcheck's
lint:
    ruff check .
    shellcheck packaging/*.sh packaging/*/*.sh .ci/run

# show what `just format` would change
format-check:
    ruff format --check .

# flake8-async's rules, which find more async faults than ruff's. Not asked for: checkpoints everywhere
# (ASYNC9), async functions that need not be (124: handlers), httpx2 (127), what only old versions of trio do (122)
async-lint:
    git ls-files '*.py' | xargs flake8-async --disable=ASYNC9,ASYNC122,ASYNC124,ASYNC127 \
        --startable-in-context-manager=run,serve,serve_simulated,_listen

# mypy --strict
types:
    mypy
    mypy packaging/*.py

# GitHub's workflows: are they valid (actionlint, which needs Go), and do they give away no more than they must (zizmor)
workflows:
    zizmor --offline --no-progress --persona pedantic .github
    go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# the man page and the shell completions, below dist/share
share:
    mkdir -p dist/share/man/man1
    {{ python }} packaging/manpage.py > dist/share/man/man1/octoroute.1
    {{ python }} packaging/completions.py dist/share

# read the man page
man: share
    man -l dist/share/man/man1/octoroute.1

# format the code, and fix what ruff can fix
format:
    ruff format .
    ruff check --fix .

# the everyday tests (under 5 minutes); arguments go to pytest
test *args:
    {{ python }} -m pytest "$@"

# the tests whose last run failed
failed:
    {{ python }} -m pytest --last-failed

# the tests of one part: just part fleet
part name *args:
    {{ python }} -m pytest tests/{{ name }} "${@:2}"

# run the tests again on every change of a file
watch *args:
    #!/usr/bin/env bash
    last=
    while sleep 1; do
        now=$(find octoroute tests -name '*.py' -newer .venv/pyvenv.cfg -printf '%T@ %p\n' | sort | sha256sum)
        if [ "$now" != "$last" ]; then last=$now; {{ python }} -m pytest --quiet "$@"; fi
    done

# end-to-end tests against real llama.cpp servers and the openai SDK
e2e *args:
    {{ python }} -m pytest tests/e2e "$@"

# the slow suites, such as memory over 5,000 streams
slow *args:
    {{ python }} -m pytest tests/slow "$@"

# play the fault matrix, and write what is seen into docs/reliability.md
reliability:
    {{ python }} -m tests.reliability

# mixed traffic and faults for so many minutes (10), with memory, open files and requests as it goes
soak *args:
    {{ python }} -m benchmarks.soak "$@"

# everyday, end-to-end and slow tests
test-all: test e2e slow

# test coverage as a table (installs coverage)
coverage:
    {{ python }} -m pip install --quiet coverage
    {{ python }} -m coverage run --source octoroute -m pytest --quiet
    {{ python }} -m coverage report --skip-covered --show-missing

# the benchmark, beside LiteLLM's proxy and the floor of the stack
bench *args:
    {{ python }} -m benchmarks "$@"

# a short benchmark
bench-quick: (bench "--quick")

# how often 200 attacks in prompts change a real router model's decision (2.5 minutes)
injections *args:
    {{ python }} -m benchmarks.injections "$@"

# what llm and hybrid are worth with a large model's recorded answers: just recorded-router SETS (8 minutes)
recorded-router *args:
    {{ python }} -m benchmarks.recorded_router "$@"

# three real llama.cpp servers with a real small model, and Octoroute in front
demo *args:
    {{ python }} -m demo.run "$@"

# a simulated fleet, and Octoroute in front
simulate *args:
    octoroute demo "$@"

# start Octoroute with ./config.toml
run *args:
    octoroute "$@"

# explain where a prompt would go
route *args:
    octoroute route "$@"

# write a configuration to begin with
config:
    octoroute config -o config.toml

# what this tree depends on, as installed
versions:
    {{ python }} -m pip list

# build the wheel and the source archive
build:
    {{ python }} -m pip install --quiet build
    {{ python }} -m build

# build the binaries of this machine's platform, with SBOM and licences: dist/<platform>
binary:
    packaging/build.sh

# build those for aarch64, on whatever Linux (5 minutes under emulation; as root)
binary-arm64:
    packaging/build-arm64.sh

# archives, .deb, .rpm, SBOMs and checksums of what was built here: dist/ (needs Go)
packages:
    packaging/package.sh

# install the .deb in a booted Debian and see it through: reload, crash, upgrade, purge (3 minutes, as root)
lifecycle *args:
    {{ python }} -m tests.packaging.lifecycle "$@"

# the acceptance tests of the binaries that were built here
test-binary *args:
    {{ python }} -m pytest tests/binary "$@"

# the same in a bare Debian, below build/ (as root): just test-binary-in trixie, just test-binary-in bookworm arm64
test-binary-in suite architecture="amd64" *args:
    packaging/debian-root.sh build/{{ suite }}-{{ architecture }} {{ suite }} {{ architecture }}
    OCTOROUTE_ROOT=build/{{ suite }}-{{ architecture }} \
        OCTOROUTE_BINARIES=dist/linux-{{ if architecture == "arm64" { "aarch64" } else { "x86_64" } }} \
        {{ python }} -m pytest tests/binary "${@:3}"

# lock what binaries are built from, by hash; `just lock --upgrade` takes the newest
lock *args:
    {{ python }} -m pip install --quiet uv
    {{ python }} -m uv pip compile --quiet --universal --python-version 3.11 --extra binary --generate-hashes \
        --no-emit-index-url --custom-compile-command "just lock" --output-file packaging/requirements.txt "$@" pyproject.toml

# what continuous integration runs, in a clean environment
ci:
    bash .ci/run

# remove the environment and everything that tools left
clean:
    make clean
