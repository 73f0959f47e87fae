"""The guides are true: what exists stands in them, and what they name exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import NODEFAULT, Struct, inspect, structs

from octoroute import errors
from octoroute.api import chat, legacy, models, operations
from octoroute.cli import main
from octoroute.config.load import FILE_ONLY, parse
from octoroute.config.model import Config, Endpoint, Importance, RouterTimeouts
from octoroute.fleet.health import State
from octoroute.fleet.probe import ErrorType
from octoroute.openai.request import TaskType
from octoroute.relay.headers import ROUTE_HEADERS
from octoroute.routing import rules
from octoroute.routing.route import Reason, Strategy
from octoroute.telemetry.events import Finished, QuestionCause
from octoroute.telemetry.metrics import FleetState, Metrics

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GUIDES = (
    "architecture",
    "api-reference",
    "configuration",
    "observability",
    "reliability",
    "deployment",
    "development",
)
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")))
}
REFERENCE, CONFIGURATION, OBSERVABILITY, DEVELOPMENT = (
    PAGES[f"docs/{name}.md"] for name in ("api-reference", "configuration", "observability", "development")
)


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ", maxsplit=1)[0]
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", page, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"no section {heading}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in `text`, without their heads."""
    lines = [line.strip() for line in text.splitlines()]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for before, line in zip(["", *lines], lines, strict=False)
        if line.startswith("| ") and before.startswith("|")
    ]


def names(cell: str) -> list[str]:
    """What a cell has in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_every_guide_is_there() -> None:
    assert {f"docs/{name}.md" for name in GUIDES} <= set(PAGES)


# Configuration

TABLES: dict[str, type[Struct]] = {
    **{
        f"## `[{field.name}]`": field.type
        for field in structs.fields(Config)
        if isinstance(field.type, type) and issubclass(field.type, Struct)
    },
    "## Models": Endpoint,
    "### `[routing.router_timeouts]`": RouterTimeouts,
}


def written(default: object) -> str:
    """A default as the guide writes it."""
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case str():
            return f'`"{default}"`'
        case None:
            return "none"
        case tuple():
            return "`[]`"
        case _:
            return f"`{default}`"


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_stands_in_the_guide_with_its_default(heading: str) -> None:
    struct = TABLES[heading]
    table = section(CONFIGURATION, heading).split("\n###")[0]
    told = {name: row[1] for row in rows(table) for name in names(row[0])}
    keys = {field.name: field for field in structs.fields(struct) if not is_table(field.type)}
    assert set(told) == set(keys) | set(FILE_ONLY.get(struct, ()))
    for name, field in keys.items():
        expected = "required" if field.default is NODEFAULT else written(field.default)
        assert told[name].startswith(expected), name


def is_table(type_: Any) -> bool:
    return isinstance(inspect.type_info(type_), inspect.StructType)


@pytest.mark.parametrize("struct", TABLES.values())
def test_every_key_stands_in_the_template(struct: type[Struct]) -> None:
    template = resources.files("octoroute.config").joinpath("example.toml").read_text(encoding="utf-8")
    for field in structs.fields(struct):
        if not is_table(field.type):
            assert re.search(rf"^(?:# )?{field.name} = ", template, re.MULTILINE), field.name
    for key in FILE_ONLY.get(struct, ()):
        assert re.search(rf"^# {key} = ", template, re.MULTILINE), key


def test_the_rules_are_told_with_their_limits() -> None:
    told = section(CONFIGURATION, "### The rules")
    for limit in (
        f"under {rules.CASUAL_TOKENS} tokens",
        f"over {rules.CODE_TOKENS} tokens",
        f"of {rules.QUESTION_TOKENS.start} to {rules.QUESTION_TOKENS.stop - 1} tokens",
    ):
        assert limit in told


TOML = [(name, text) for name, page in PAGES.items() for text in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "text"), TOML, ids=[page for page, _ in TOML])
def test_every_configuration_shown_is_valid(page: str, text: str, tmp_path: Path) -> None:
    text = text.replace("/etc/octoroute/", "")
    if "[[models." not in text:
        text += '\n[[models.fast]]\nname = "small"\nbase_url = "http://localhost:1/v1"\n'
    for file in re.findall(r'^(?:\w+_file|tls_\w+) = "([^"]+)"', text, re.MULTILINE):
        (tmp_path / file).write_text("a-key\n")
    environ = dict.fromkeys(re.findall(r'^\w+_env = "([^"]+)"', text, re.MULTILINE), "a-key")
    parse(text, source=page, base_dir=tmp_path, environ=environ)


# The API

ROUTES = {
    f"{method} {path.replace('<path:name>', '{id}')}"
    for table in (chat.ROUTES, legacy.ROUTES, models.ROUTES, operations.ROUTES)
    for method, path, _ in table
}


def test_every_path_stands_in_the_reference_and_no_other() -> None:
    table = REFERENCE.split("\n## ")[0]
    assert {name for row in rows(table) for name in names(row[0])} == ROUTES


def test_every_reason_stands_in_the_reference_and_no_other() -> None:
    told = [name for row in rows(section(REFERENCE, "### Reasons")) for name in names(row[0])]
    assert sorted(told) == sorted(get_args(Reason))


def kinds_of(error: type[errors.RequestError]) -> Iterator[type[errors.RequestError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds_of(kind)


def test_every_error_stands_in_the_reference_and_no_other() -> None:
    table = section(REFERENCE, "## Errors").split("\n###")[0]
    told = {(row[0], *names(row[1]), *names(row[2])) for row in rows(table)}
    assert told == {(str(kind.status), kind.type, kind.code) for kind in kinds_of(errors.RequestError)}


@pytest.mark.parametrize(
    "word", [*get_args(Importance), *get_args(TaskType), *get_args(Strategy), *get_args(State)]
)
def test_every_word_of_the_api_stands_in_the_reference(word: str) -> None:
    assert f"`{word}`" in REFERENCE


def test_every_header_stands_in_the_reference_and_no_other() -> None:
    told = {
        name for row in rows(section(REFERENCE, "### Headers of a routed answer")) for name in names(row[0])
    }
    assert {name.lower() for name in told} == {f"x-octoroute-{name}" for name in ROUTE_HEADERS}


# Metrics and logs


def metric_names() -> set[str]:
    metrics = Metrics("0")
    metrics.watch(lambda: FleetState([], []))
    return {
        f"{each.name}_total" if each.type == "counter" else each.name for each in metrics.registry.collect()
    }


def test_every_metric_stands_in_the_guide() -> None:
    told = {name for row in rows(section(OBSERVABILITY, "## Metrics")) for name in names(row[0])}
    assert {name for name in told if name.startswith("octoroute_")} == metric_names()


@pytest.mark.parametrize("name", ["observability.md", "grafana-dashboard.json", "prometheus.yml"])
def test_no_query_asks_for_a_metric_that_does_not_exist(name: str) -> None:
    used = set(re.findall(r"octoroute_[a-z_]+[a-z]", (DOCS / name).read_text(encoding="utf-8")))
    assert {re.sub("_(bucket|sum|count)$", "", each) for each in used} <= metric_names()


def test_the_dashboard_is_one() -> None:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) > 0
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert [variable["type"] for variable in board["templating"]["list"]] == ["datasource"]


def test_the_scrape_configuration_is_the_one_that_the_guide_shows() -> None:
    lines = (DOCS / "prometheus.yml").read_text(encoding="utf-8").splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("# ")) in blocks(OBSERVABILITY, "yaml")


def test_every_field_of_the_request_line_stands_in_the_guide_and_no_other() -> None:
    told = {name for row in rows(section(OBSERVABILITY, "### The request line")) for name in names(row[0])}
    assert told == {field.name for field in structs.fields(Finished)}


def test_every_cause_stands_in_the_guide() -> None:
    causes = {word for part in get_args(QuestionCause) for word in (get_args(part) or (part,))}
    text = section(OBSERVABILITY, "## Metrics")
    assert [word for word in (*causes, *get_args(ErrorType)) if f"`{word}`" not in text] == []


# Whatever they name


def test_every_module_stands_in_the_picture_of_the_layers_and_no_other() -> None:
    (picture,) = (text for text in blocks(PAGES["docs/architecture.md"], "") if text.startswith("__main__"))
    folders = dict(re.findall(r"^(\w+)/? +(.*(?:\n +.*)*)$", picture, re.MULTILINE))
    modules = [path for path in (ROOT / "octoroute").rglob("*.py") if path.stem != "__init__"]
    for path in modules:
        folder, *inner = path.relative_to(ROOT / "octoroute").with_suffix("").parts
        assert folder in folders, path
        assert not inner or re.search(rf"\b{inner[0]}\b", folders[folder]), path
    for folder in folders:
        assert (ROOT / "octoroute" / folder).is_dir() or (ROOT / "octoroute" / f"{folder}.py").is_file(), (
            folder
        )


LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    prose = re.sub(r"^( *)```.*?^\1```$", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in LINK.findall(PAGES[name]):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), link


FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("octoroute", "tests", "docs", "benchmarks", "demo", "packaging", ".github", ".")
    for path in ((ROOT / folder).glob("*") if folder == "." else (ROOT / folder).rglob("*"))
]
NOT_OURS = {"config.toml", "./config.toml", "octoroute.cdx.json", "octoroute/x/y.py", "tests/x/test_y.py"}


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name: str) -> None:
    for span in re.findall(r"`([^`\s…]+)`", PAGES[name]):
        if re.fullmatch(
            r"(?!/)[\w./-]+\.(?:py|toml|md|json|yml|txt)|(?:tests|api|cli|relay|routing|fleet)/[\w/]*", span
        ):
            found = any(f"/{file}".endswith(f"/{span.rstrip('/')}") for file in FILES)
            assert found or span in NOT_OURS, span


def recipes(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


COMMANDS: Mapping[str, set[str]] = {
    "octoroute": set(main.commands),
    "just": recipes("justfile", r"^([a-z][a-z0-9-]*)[^:\n]*:(?!=)"),
    "make": recipes("Makefile", r"^([a-z0-9]+):"),
}
FENCED = re.compile(r"^ *```(?:sh|console)?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("name", PAGES)
def test_commands_that_are_named_exist(name: str, program: str) -> None:
    text = "\n".join([*FENCED.findall(PAGES[name]), *re.findall(r"`([^`\n]+)`", PAGES[name])])
    used = re.findall(rf"(?:^|bin/|\$ |&& |sudo ){program} ([a-z][a-z0-9-]*)\b(?![./=])", text, re.MULTILINE)
    assert set(used) <= COMMANDS[program]


def test_every_recipe_for_daily_use_stands_in_the_guide() -> None:
    for recipe in (
        "setup",
        "check",
        "format",
        "test",
        "part",
        "e2e",
        "slow",
        "reliability",
        "soak",
        "bench",
        "demo",
        "build",
        "ci",
    ):
        assert f"`just {recipe}" in DEVELOPMENT, recipe
