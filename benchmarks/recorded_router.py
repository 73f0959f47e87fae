"""What `llm` and `hybrid` are worth with a router model that can judge: a large model's recorded answers, replayed.

    python -m benchmarks.recorded_router FOLDER

FOLDER holds the sets as for `benchmarks.routing_data`. `recorded_answers.tsv` has what a large model of 2026 answered to
the classifier's own question about 5,221 of their prompts, drawn by chance: set, row, word. It was given the questions
forty at a time, with the instruction to judge each by itself, and no outcomes. Here a small server gives these answers
to `octoroute eval`, which asks it as it asks any router model. Prints, for each set and for mixed traffic of one fleet,
what is in `docs/routing-quality.md`. Decisions take no time here, so no latency is told.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import urandom
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks.injections import asked_about
from benchmarks.routing_data import ONE_FLEET, ROWS_OF_EACH, TIERS, rows
from octoroute.evaluation.report import estimate, percent
from octoroute.evaluation.result import Result
from octoroute.routing.question import Learned, body_of

ANSWERS = Path(__file__).with_name("recorded_answers.tsv")
HEADING = (
    "| | rows | asked | fast / balanced / deep, % | quality kept | minus random | minus length | "
    "APGR of its tiers | tier, then length, minus length | what deep adds to fast, by tier, points |"
)
_TEXT = re.compile(r"<text (\w+)>\n(.*)\n</text \1>", re.DOTALL)


def text_in(body: bytes) -> str:
    """The user's text as a question shows it, from the question's request."""
    match = _TEXT.search(json.loads(body)["messages"][-1]["content"])
    assert match, "not the classifier's question"
    return match[2]


def shown(prompt: str) -> str:
    """The same for a prompt that is yet to be asked about."""
    return text_in(body_of(asked_about(prompt), "recorded", Learned(), lambda: urandom(8).hex()))


class Recorded(ThreadingHTTPServer):
    """A router model that knows its answers by heart."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Recorded)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        word = self.server.answers[text_in(body)]
        message = {"index": 0, "message": {"role": "assistant", "content": word}, "finish_reason": "stop"}
        answer = json.dumps({"choices": [message]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing of each request."""


def evaluated(data: Path, config: Path, strategy: str) -> Result:
    """What `octoroute eval` says."""
    command = [sys.executable, "-m", "octoroute", "eval", str(data), "--config", str(config), "--json"]
    done = subprocess.run([*command, "--strategy", strategy], check=True, stdout=subprocess.PIPE)
    found = msgspec.json.decode(done.stdout, type=Result)
    assert not found.router_unavailable, "a question without a recorded answer"
    return found


def line(name: str, found: Result) -> str:
    """One line of the table, in Markdown: `HEADING` names its cells."""
    assert found.scores is not None
    standings, differences = found.scores.standings, found.scores.differences
    cells = [
        name,
        f"{found.decided:,}",
        percent(found.by_model / found.decided),
        " / ".join(f"{100 * share:.0f}" for share in standings["strategy"].shares.values()),
        estimate(standings["strategy"].metrics["quality_kept"], plain=False),
        estimate(differences["random"]["quality_kept"], plain=False, signed=True),
        estimate(differences["length"]["quality_kept"], plain=False, signed=True),
        estimate(standings["tiers"].metrics["apgr"], plain=True),
        estimate(differences["length"]["apgr"], plain=True, signed=True),
        " / ".join(f"{100 * (gain.value or 0):+.0f}" for gain in found.scores.gains.values()),
    ]
    return f"| {' | '.join(cells)} |"


def _files(folder: Path, recorded: dict[tuple[str, str], str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each set's recorded rows, and as many of each of five sets with the same two models' scores."""

    def of(name: str, tiers: dict[str, str]) -> list[dict[str, Any]]:
        return [row for row in rows(folder, name, tiers) if (name, row["id"]) in recorded]

    yield from ((name, of(name, tiers)) for name, tiers in TIERS.items())
    random = Random(0)
    mixed = [random.sample(of(name, tiers), ROWS_OF_EACH) for name, tiers in ONE_FLEET.items()]
    yield "one fleet", [row for some in mixed for row in some]


def main() -> None:
    """Read the command line, replay, print."""
    parser = argparse.ArgumentParser(description="Measure llm and hybrid with recorded answers.")
    parser.add_argument("folder", type=Path, help="where the sets are, one .jsonl.gz each")
    folder = parser.parse_args().folder
    recorded: dict[tuple[str, str], str] = {}
    for each in ANSWERS.read_text(encoding="utf-8").splitlines():
        name, row, word = each.split("\t")
        recorded[name, row] = word
    files = list(_files(folder, recorded))
    answers = {
        shown(row["prompt"]): recorded[name, row["id"]]
        for name, found in files
        if name in TIERS
        for row in found
    }
    with Recorded(answers) as server, tempfile.TemporaryDirectory() as directory:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = Path(directory, "config.toml")
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        config.write_text(
            f'[[models.balanced]]\nname = "recorded"\nbase_url = "{base_url}"\n', encoding="utf-8"
        )
        for strategy in ("llm", "hybrid"):
            print(f"\n{strategy}\n\n{HEADING}\n|{'---|' * HEADING.count(' | ')}---|")
            for name, found in files:
                data = Path(directory, "rows.jsonl")
                data.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
                print(line(f"`{name}`", evaluated(data, config, strategy)), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
