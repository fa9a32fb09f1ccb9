"""Behaviour read out of one model's latents, beside read-outs of the spikes: a macaque's hand, nine mouse sessions.

    python experiments/decoding/run.py [--runs=runs/decoding] [--only=chewie|chewie_models|mice]

Chewie   five folds by trial, and five by blocks of time; each fold trains a model of both days on the other trials, so
         that neither the model nor a read-out has seen a tested trial
chewie_models  velocity in the same folds by trial, from NDT2 and POYO: read out of frozen latents, and fine-tuned
mice     one model of nine sessions; nested folds by trial and by block, scored on the trials the model has not seen

Every stage resumes: run the same command again after an interruption. `results.json` is written after each part.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
DAYS = ("chewie_2013-10-03_100ms", "chewie_2013-12-19_100ms")
NUM_FOLDS, VALIDATION_SHARE, SEED = 5, 0.1, 0
CHEWIE_STEPS, MICE_STEPS = 400, 1500
TARGETS = ("velocity", "target")  # of Chewie
MODELS = {"ndt2": "ndt2.py:size=tiny", "poyo": "poyo.py:size=tiny"}
METHODS = ("probe", "finetune")  # a read-out of frozen latents, or everything trained on the velocity
MICE_TARGETS = {  # name of the result -> options
    "contrast_side": ("--target=contrast_side",),
    "feedback": ("--target=feedback",),
    "contrast_side, blocks": ("--target=contrast_side", "--fold_by=block"),
    "feedback, blocks": ("--target=feedback", "--fold_by=block"),
    "contrast_side, both": ("--target=contrast_side", "--features=latents+spikes", "--baselines=raw"),
    "feedback, both": ("--target=feedback", "--features=latents+spikes", "--baselines=raw"),
    "contrast_side, mtm": ("--target=contrast_side", "--protocol=mtm", "--baselines=raw"),
    "feedback, mtm": ("--target=feedback", "--protocol=mtm", "--baselines=raw"),
}
FACTS = ("subject_id", "num_units", "num_trials", "num_trials_unseen_by_model")
LEFT_OUT = ("temperatures", "all_trials")  # of a block in decoding.json


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def train(config: str, root: Path, folder: Path, num_steps: int, protocol: str = "mtm") -> None:
    """A finished run says so and is left as it is; `protocol` is of its own scores, which are not this experiment's."""
    options = (f"--config.train.num_steps={num_steps}", "--config.eval.baselines=", "--config.eval.num_boot=100")
    options += (f"--config.eval.protocol={protocol}",)
    step("train", f"--config={REPOSITORY / 'configs' / config}", f"--config.data.root={root}", *options,
         f"--workdir={folder}")  # fmt: skip


def decode(folder: Path, out: Path, *options: str) -> dict:
    """The report of `neurojax decode`; a finished one is read again."""
    if not (out / "decoding.json").exists():
        step("decode", f"--workdir={folder}", f"--out={out}", *options)
    return read_json(out / "decoding.json")


def splits(num_trials: int, seed: int, by: str) -> list[np.ndarray]:
    """Of each fold: a fifth tests (at random, or successive trials), a tenth of the others validates. int8 [trials]."""
    rng = np.random.default_rng([seed, num_trials])
    found, shuffled = [], rng.permutation(num_trials)
    for tested in np.array_split(shuffled if by == "trial" else np.arange(num_trials), NUM_FOLDS):
        split = np.full(num_trials, TRAIN, np.int8)
        split[tested] = TEST
        others = rng.permutation(np.flatnonzero(split == TRAIN))
        split[others[: round(VALIDATION_SHARE * len(others))]] = VALIDATION
        found.append(split)
    return found


def chewie(runs: Path) -> dict:
    """Target, or "target, blocks" -> [report of each fold]."""
    by_trial, by_block = (of_folds(runs, by) for by in ("trial", "block"))
    return by_trial | {f"{name}, blocks": reports for name, reports in by_block.items()}


def of_folds(runs: Path, by: str) -> dict:
    reports: dict[str, list] = {name: [] for name in TARGETS}
    for fold in range(NUM_FOLDS):
        folder = of_fold(runs, by, fold)
        train("mtm.py:size=tiny", folder / "data", folder / "run", CHEWIE_STEPS)
        for target in TARGETS:
            reports[target].append(decode(folder / "run", folder / target, f"--target={target}", "--protocol=split"))
    return {target: [kept(report) for report in found] for target, found in reports.items()}


def of_fold(runs: Path, by: str, fold: int) -> Path:
    """Folder of a fold, with both days converted."""
    folder, files = runs / ("chewie" if by == "trial" else "chewie_blocks") / f"fold_{fold}", []
    for day in DAYS:
        with np.load(RECORDINGS / "macaque_reach_chewie" / f"{day}.npz") as source:
            arrays = {name: source[name] for name in source.files}
        arrays["split"] = splits(len(arrays["target"]), SEED, by)[fold]
        files.append(folder / f"{day}.npz")
        if not files[-1].exists():
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(half := files[-1].with_suffix(".half.npz"), **arrays)
            half.replace(files[-1])  # a killed run leaves no half file under the name
    step("convert", "arrays", *map(str, files), f"--out={folder / 'data'}")
    return folder


def chewie_models(runs: Path) -> dict:
    """(model, method) -> [report of each fold by trial] of velocity; the GRU of these folds is in `chewie`."""
    reports: dict[str, list] = {f"{model}, {method}": [] for model in MODELS for method in METHODS}
    for fold in range(NUM_FOLDS):
        folder = of_fold(runs, "trial", fold)
        for model, config in MODELS.items():
            train(config, folder / "data", folder / model, CHEWIE_STEPS)
            for method in METHODS:
                options = ("--target=velocity", "--protocol=split", "--baselines=", f"--method={method}")
                reports[f"{model}, {method}"].append(decode(folder / model, folder / f"{model}_{method}", *options))
    return {name: [kept(report) for report in found] for name, found in reports.items()}


def mice(runs: Path) -> dict:
    """Name -> report."""
    files = sorted((RECORDINGS / "steinmetz2019_sessions").glob("session*.npz"))
    root, folder = runs / "mice" / "data", runs / "mice" / "run"
    step("convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20")
    train("mtm.py:size=small", root, folder, MICE_STEPS, protocol="brainwide")  # mtm hides 9,793 units one by one
    places = {name: runs / "mice" / name.replace(", ", "_") for name in MICE_TARGETS}
    return {name: kept(decode(folder, places[name], *options)) for name, options in MICE_TARGETS.items()}


def kept(report: dict) -> dict:
    """What figure.py and README quote of decoding.json."""
    sessions = {}
    for name, entry in report["sessions"].items():
        sessions[name] = {key: entry[key] for key in FACTS}
        sessions[name]["read_outs"] = {
            read_out: {key: value for key, value in block.items() if key not in LEFT_OUT}
            for read_out, block in entry["read_outs"].items()
        }
    names = ("target", "kind", "method", "protocol", "fold_by", "features", "lags", "step", "trials", "seed", "mean")
    names += ("left_out",)
    return {name: report[name] for name in names} | {"sessions": sessions}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/decoding"))
    parser.add_argument("--only", choices=("chewie", "chewie_models", "mice"))
    arguments = parser.parse_args()
    if not (RECORDINGS / "macaque_reach_chewie").is_dir():
        raise SystemExit(f"no recordings in {RECORDINGS}; set NEUROJAX_DATA to the folder of macaque_reach_chewie")
    path = HERE / "results.json"
    for name, part in {"chewie": chewie, "chewie_models": chewie_models, "mice": mice}.items():
        if arguments.only in (None, name):
            found = part(arguments.runs)
            results = read_json(path) if path.exists() else {"command": "python experiments/decoding/run.py"}
            write_json(path, results | {name: provenance(HERE) | {"reports": found}})
