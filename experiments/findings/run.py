"""Made-up findings whose best reader is known: how near a small language model comes, by size and by text.

    python experiments/findings/run.py [--runs=runs/findings] [--arms=base,noise_low,...]

Each arm trains configs/causal_lm.py with a few entries changed; a repeated command goes on where it was.
Writes results.json.
"""

import argparse
import os
import resource
from pathlib import Path

from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DOCUMENTS, STEPS = 150_000, 4000
SIZES = {"width_32": (32, 128), "width_64": (64, 256)}
ARMS = {
    "base": {},
    "noise_low": {"data.synthetic.noise": "low"},
    "noise_high": {"data.synthetic.noise": "high"},
    "documents_15000": {"data.synthetic.num_documents": 15_000},
    "documents_50000": {"data.synthetic.num_documents": 50_000},
    **{name: {"model.width": width, "model.mlp_width": mlp} for name, (width, mlp) in SIZES.items()},
}


def train(name: str, runs: Path) -> dict:
    """The evaluation of an arm, trained unless it is; CPU seconds where this call did it."""
    folder, before = runs / name, cpu_seconds()
    entries = {"data.synthetic.num_documents": DOCUMENTS, "train.num_steps": STEPS} | ARMS[name]
    changed = [f"--config.{entry}={value}" for entry, value in entries.items()]
    config = f"--config={REPOSITORY / 'configs' / 'causal_lm.py'}"
    if code := main(["train", config, f"--workdir={folder}", *changed]):
        raise SystemExit(code)
    return summary(read_json(folder / "evaluation.json")) | {"cpu_seconds_of_this_call": cpu_seconds() - before}


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def summary(record: dict) -> dict:
    """What a page or a figure needs of an evaluation."""
    pairs = record["pairs"]
    kept = ("accuracy", "accuracy_ci95", "num_items", "best_reader", "share_of_best", "calibration", "no_context")
    return {name: pairs[name] for name in kept if name in pairs} | {"text": record.get("text")}


def real_abstracts(runs: Path, data: Path) -> dict | None:
    """The base run on the 100 pairs of BrainBench that GPT-4 made; nothing is trained on them. Chance is expected."""
    pairs = data / "brainbench_gpt4" / "BrainBench_GPT-4_v0.1.csv"
    if not pairs.is_file():
        return None
    out = runs / "base" / "brainbench_gpt4.json"
    command = ["evaluate", f"--workdir={runs / 'base'}", "--protocol=brainbench", f"--data={pairs}", f"--out={out}"]
    if code := main(command):
        raise SystemExit(code)
    return summary(read_json(out))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/findings"))
    parser.add_argument("--arms", default=",".join(ARMS))
    options = parser.parse_args()
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    found = {name: train(name, options.runs) for name in options.arms.split(",")}
    results = {"command": "python experiments/findings/run.py", **provenance(HERE), "arms": found}
    if "base" in found and (scored := real_abstracts(options.runs, data)):
        results["brainbench_gpt4"] = scored
    write_json(HERE / "results.json", results)
