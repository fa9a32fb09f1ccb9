"""Made-up findings whose best reader is known: how near a small language model comes, by size, text and noise.

    python experiments/findings/run.py [--runs=runs/findings] [--arms=base,noise_low,...]

Each arm trains configs/causal_lm.py with a few entries changed, or fine-tunes the base run on a world turned round
(configs/finetune_text.py); a repeated command goes on where it was. Writes results.json of the arms that are trained.
"""

import argparse
import json
import math
import os
import resource
from pathlib import Path

from neurojax.commands import config
from neurojax.data.synthetic import findings
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.restore import newest_manifest
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DOCUMENTS = 300_000
BASE = {
    "model.width": 64, "model.mlp_width": 256, "model.num_heads": 8, "model.num_kv_heads": 8,
    "optimizer.learning_rate": 3e-3, "train.num_steps": 8000,
}  # fmt: skip
NARROW = {"model.width": 32, "model.mlp_width": 128}
ARMS = {
    "base": {},
    "width_32": NARROW,
    "width_16": {"model.width": 16, "model.mlp_width": 64},
    "documents_10000": NARROW | {"data.synthetic.num_documents": 10_000},
    "documents_50000": NARROW | {"data.synthetic.num_documents": 50_000},
    "noise_low": {"data.synthetic.noise": "low"},
    "noise_high": {"data.synthetic.noise": "high"},
}
# Half of all pairs of agent and measure have their direction turned round; both start from the base run. Adapters want
# a higher rate: 2e-2 was the best of 3e-3, 1e-2 and 2e-2 by the likelihood of validation documents.
TURNED = {"data.synthetic.num_documents": 100_000}
TUNED = {
    "full": {"train.num_steps": 1500},
    "lora": {
        "train.num_steps": 2500, "optimizer.learning_rate": 2e-2, "finetune.lora.rank": 1,
        "finetune.lora.layers": "query,value,output,gate,expand,contract",
    },
}  # fmt: skip


def train(name: str, runs: Path) -> dict:
    """The evaluation of an arm, trained unless it is."""
    entries = {"data.synthetic.num_documents": DOCUMENTS} | BASE | ARMS[name]
    return trained("causal_lm.py:family=llama", runs / name, entries)


def tune(strategy: str, runs: Path) -> dict:
    """The base run fine-tuned on the other world."""
    entries = {"init_from": runs / "base", "finetune.strategy": strategy} | TURNED | TUNED[strategy]
    return trained("finetune_text.py", runs / f"tuned_{strategy}", entries)


def trained(declaration: str, folder: Path, entries: dict) -> dict:
    """Trains and evaluates a run; the CPU seconds of the call that finished it stay in its folder."""
    before, kept = cpu_seconds(), folder / "cpu_seconds.json"
    changed = [f"--config.{entry}={value}" for entry, value in entries.items()]
    if code := main(["train", f"--config={REPOSITORY / 'configs' / declaration}", f"--workdir={folder}", *changed]):
        raise SystemExit(code)
    if not kept.is_file():
        write_json(kept, {"cpu_seconds": round(cpu_seconds() - before, 1)})
    counts = {"parameters": number_of_parameters(folder), **read_json(kept)}
    return summary(read_json(folder / "evaluation.json")) | counts


def number_of_parameters(folder: Path) -> int:
    """Parameters that train."""
    arrays = newest_manifest(folder / "checkpoints")["arrays"]
    return sum(math.prod(entry["shape"]) for name, entry in arrays.items() if name.startswith("params/"))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def summary(record: dict) -> dict:
    """What a page or a figure needs of an evaluation."""
    pairs = record["pairs"]
    kept = ("accuracy", "accuracy_ci95", "num_items", "best_reader", "share_of_best", "calibration", "no_context")
    return {name: pairs[name] for name in kept if name in pairs} | {"text": record.get("text")}


def on_pairs(runs: Path, pairs: Path) -> dict:
    """The base run on a file of pairs that it was not trained on."""
    out = runs / "base" / f"{pairs.stem}.json"
    command = ["evaluate", f"--workdir={runs / 'base'}", "--protocol=brainbench", f"--data={pairs}", f"--out={out}"]
    if code := main(command):
        raise SystemExit(code)
    return summary(read_json(out))


def shares(results: dict) -> dict:
    """Of the gain of full fine-tuning, and of the parameters, what adapters have."""
    right = {name: one["accuracy"] for name, one in results["tuned"].items()}
    gain = (right["lora"] - right["before"]) / (right["full"] - right["before"])
    parameters = {name: results["tuned"][name]["parameters"] for name in TUNED}
    return {"share_of_gain": gain, "share_of_parameters": parameters["lora"] / parameters["full"]}


def turned_pairs(runs: Path) -> Path:
    """Pairs of the world that the fine-tuned runs are trained on, those that they are scored on."""
    declared = config.load([f"--config={REPOSITORY / 'configs' / 'finetune_text.py'}"])
    spec = findings.FindingsSpec(**declared["data"]["synthetic"])
    lines = [{"texts": pair.texts, "label": pair.label} for pair in findings.pairs(spec, declared["seed"])]
    path = runs / "turned_pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/findings"))
    parser.add_argument("--arms", default=",".join([*ARMS, *(f"tuned_{name}" for name in TUNED)]))
    options = parser.parse_args()
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    asked = options.arms.split(",")
    results = {"command": "python experiments/findings/run.py", **provenance(HERE)}
    results["arms"] = {name: train(name, options.runs) for name in ARMS if name in asked}
    results["tuned"] = {name: tune(name, options.runs) for name in TUNED if f"tuned_{name}" in asked}
    if set(results["tuned"]) == set(TUNED):
        results["tuned"]["before"] = on_pairs(options.runs, turned_pairs(options.runs))
        results["adapters"] = shares(results)
    real = data / "brainbench_gpt4" / "BrainBench_GPT-4_v0.1.csv"  # nothing is trained on them: chance is expected
    if "base" in asked and real.is_file():
        results["brainbench_gpt4"] = on_pairs(options.runs, real)
    write_json(HERE / "results.json", results)
