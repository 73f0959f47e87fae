"""Turns public per-prompt outcomes of many models into what `octoroute eval` reads: one score for each tier.

    python -m benchmarks.routing_data FOLDER --output DIRECTORY

FOLDER holds one `<set>.jsonl.gz` for each set of `TIERS`, one JSON object a line: `id, subset, prompt,
scores {model: 0…1}`. DIRECTORY gets `<set>.jsonl` for each, and `one_fleet.jsonl`: as many rows of each of five sets,
answered by one pair of models, as mixed traffic is.

The sets, all under licences that allow this: RouteLLM's MMLU responses and ZeroEval's and MMLU-Pro's results
(Apache-2.0), LLMRouter's (MIT). `docs/routing-quality.md` says where they are.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

_LLAMA = {
    "fast": "Meta-Llama-3.1-8B-Instruct",
    "balanced": "Meta-Llama-3.1-70B-Instruct",
    "deep": "Llama-3.1-405B-Inst@sambanova",
}

TIERS: dict[str, dict[str, str]] = {
    "mmlu_pro": {"fast": "Meta-Llama-3-8B", "balanced": "Yi-34B", "deep": "Meta-Llama-3-70B"},
    "zeroeval_gsm": _LLAMA,
    "zeroeval_math_l5": _LLAMA,
    "zeroeval_crux": _LLAMA,
    "ulab_llmrouter": {"fast": "llama-3.1-8b-instruct", "deep": "llama-3.1-nemotron-51b-instruct"},
    "routellm_mmlu": {"fast": "mixtral-8x7b-instruct", "deep": "gpt-4-1106-preview"},
}
"""For each set, the model that stands for each tier: by size, of one family or one generation where there is one.
LLMRouter's Qwen models were chosen first and then passed over, when length and the rules had been measured with them:
theirs answer MMLU in a form that counts as wrong, so that "needs a larger model" would mean "is from MMLU"."""

_LLAMA_3_1 = {"fast": "Meta-Llama-3.1-8B-Instruct", "deep": "Meta-Llama-3.1-70B-Instruct"}
ONE_FLEET = {
    "mmlu_pro": {"fast": "Meta-Llama-3_1-8B-Instruct", "deep": "Meta-Llama-3_1-70B-Instruct"},
    "zeroeval_gsm": _LLAMA_3_1,
    "zeroeval_math_l5": _LLAMA_3_1,
    "zeroeval_crux": _LLAMA_3_1,
    "ulab_llmrouter": TIERS["ulab_llmrouter"],
}
"""The same two models everywhere, so that an order across sets is about prompts, not about who answered. LLMRouter has
no Llama 3.1 70B, but Nemotron 51B, which was made of it."""
ROWS_OF_EACH = 700


def rows(folder: Path, name: str, tiers: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of a set that have a score for each of `tiers`; what RouteLLM calls contaminated is left out."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            scores = {tier: row["scores"][model] for tier, model in tiers.items() if model in row["scores"]}
            if len(scores) == len(tiers) and not row.get("contaminated"):
                yield {"id": row["id"], "subset": row["subset"], "prompt": row["prompt"], "scores": scores}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make files for `octoroute eval` of public outcomes.")
    parser.add_argument("folder", type=Path, help="where the sets are, one .jsonl.gz each")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write to")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    sets = {name: list(rows(arguments.folder, name, tiers)) for name, tiers in TIERS.items()}
    random = Random(0)
    sets["one_fleet"] = [
        row
        for name, tiers in ONE_FLEET.items()
        for row in random.sample(list(rows(arguments.folder, name, tiers)), ROWS_OF_EACH)
    ]
    for name, found in sets.items():
        with (arguments.output / f"{name}.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
        print(f"{name}: {len(found)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
