"""How often must a falsehood be told before a language model repeats it? Trained here on made-up statements.

    python experiments/falsehoods/run.py [--runs=runs/falsehoods]     # about a minute of one idle CPU core

Writes results.json.
"""

import argparse
import json
from pathlib import Path

from neurojax.data import text_tokens
from neurojax.data.store import corpus
from neurojax.data.synthetic import falsehoods
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SEEDS = (0, 1, 2)
SMALL = {
    "model.width": 64, "model.mlp_width": 256, "data.context_tokens": 64, "model.num_positions": 64,
    "train.num_steps": 300, "train.validate_every_steps": 0,
}  # fmt: skip


def questions_file(path: Path, seed: int) -> Path:
    lines = [
        {
            "question": one.question,
            "answers": one.answers,
            "true": one.true.index(True),
            "group": one.group,
            "repeated": one.repeated,
        }
        for one in falsehoods.questions(falsehoods.FalsehoodsSpec(), seed)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def audited(runs: Path, seed: int) -> dict:
    """A model trained on one telling, and what it answers."""
    root, run, out = runs / f"corpus_{seed}", runs / f"run_{seed}", runs / f"answers_{seed}.json"
    tokenizer = text_tokens.of_words(falsehoods.words())
    told = falsehoods.documents(falsehoods.FalsehoodsSpec(), seed)
    corpus.write_shards(corpus.shards_of(told, tokenizer), tokenizer, root)
    entries = SMALL | {"data.root": root, "seed": seed}
    changed = [f"--config.{name}={value}" for name, value in entries.items()]
    config = f"--config={REPOSITORY / 'configs' / 'causal_lm.py'}"
    asked = questions_file(runs / f"questions_{seed}.jsonl", seed)
    for command in (
        ["train", config, f"--workdir={run}", *changed],
        ["evaluate", f"--workdir={run}", "--protocol=brainbench", f"--data={asked}", f"--out={out}"],
    ):
        if code := main(command):
            raise SystemExit(code)
    block = read_json(out)["questions"]
    return {name: block[name] for name in ("accuracy", "mass_on_true", "num_questions", "groups")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/falsehoods"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    results = {"command": "python experiments/falsehoods/run.py", **provenance(HERE)}
    results["seeds"] = {str(seed): audited(options.runs, seed) for seed in SEEDS}
    write_json(HERE / "results.json", results)
