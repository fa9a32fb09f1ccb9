"""Every way of reading spikes on the same animals, with as many shared parameters and as much CPU time.

    python experiments/model_zoo/run.py [--part=NAME,...] [--models=NAME,...] [--seeds=0,1] [--size=local]

Parts: synthetic (four made-up animals), permuted (their units in another order), same_steps (as many steps as the
reference takes in its time), steinmetz (nine sessions, of which the first of each mouse is scored) and allen (eight
mice), both with at most 100 passes over the trials, as configs/mtm.py has it, monkeys (two days), monkeys_passes (the
same with that bound). A run in results.json
is not run again; an interrupted training goes on.
With --cpu_minutes nothing starts after so many minutes of CPU time. `neurojax compare` reads the folders of the runs.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.api.pretrained import load
from neurojax.commands.decode import decode
from neurojax.data.session import TRAIN, Session
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError, Interrupted
from neurojax.evals.decoding.scores import MAIN
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.runs.writer import read_metrics
from neurojax.train import run, settings
from neurojax.train.log_window import Diverged

HERE = Path(__file__).parent
for place in (HERE, HERE.parent / "yardstick", HERE.parent / "mtm_parts"):
    sys.path.append(str(place))
import models  # noqa: E402
import recordings  # noqa: E402  where recordings come from

TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
PARTS = ("synthetic", "permuted", "same_steps", "steinmetz", "allen", "monkeys", "monkeys_passes")
AGAIN = ("permuted", "same_steps")  # the made-up animals once more, with the first seed
SLOWER = ("ndt2", "poyo", "lfads")  # in a step than the reference, which has more of them in the same time
TARGETS = {
    "synthetic": ("wheel_speed", "choice"),
    "steinmetz": ("choice",),
    "monkeys": ("velocity",),
    "monkeys_passes": ("velocity",),
}
# a read-out of the states of the bin itself, fitted once: these already know of the bins around
DECODED = {"protocol": "split", "lags": "0:0", "baselines": (), "num_permutations": 0}


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the comparison is.

    Attributes:
        spec: of the synthetic animals.
        cpu_s: of training, without compilation; what the animals of a model of each share.
        num_boot: resamples of trials behind an interval.
    """

    spec: synthetic.SyntheticSpec
    cpu_s: Mapping[str, float]
    num_boot: int


SMALL = synthetic.SyntheticSpec(
    num_sessions=2, min_units=16, max_units=18, min_region_units=4, num_trials=20, num_bins=12
)
# not longer than configs/mtm.py trains on so few trials: what is trained more over-fits them
OF_RECORDINGS = {"steinmetz": 120.0, "allen": 120.0, "monkeys": 20.0, "monkeys_passes": 20.0}
# over the training trials, as configs/mtm.py has it; else none. The first monkeys were run without, and LFADS on the
# Allen mice, whose config had no such entry then.
MOST_PASSES = {"monkeys_passes": 100.0, "allen": 100.0, "steinmetz": 100.0}
SIZES = {
    "smoke": Size(SMALL, dict.fromkeys(("synthetic", *AGAIN), 0.5), 20),
    "local": Size(synthetic.SyntheticSpec(), dict.fromkeys(("synthetic", *AGAIN), 25.0) | OF_RECORDINGS, 200),
}


# One session of each mouse is scored, many units hidden at a time and corrected on a sample of pairs: to leave out each
# of a thousand units takes events and patches the better part of an hour a session.
OF_A_SUBJECT = ("steinmetz",)


def data_of(part: str, size: Size, runs: Path) -> list[Path]:
    """Folders of session folders, converted where they are not yet; the days of a monkey are one each."""
    root = runs / "data" / (part if part != "same_steps" else "synthetic")
    if part.startswith("monkeys"):
        root = root.with_name("monkeys")
        days = [root / day for day in recordings.DAYS]
        done = [(day / "data" / "dataset.json").exists() for day in days]
        return [
            day / "data" if there else recordings.chewie(day, day.name) for day, there in zip(days, done, strict=True)
        ]
    if not (root / "dataset.json").exists():
        if root.name in ("synthetic", "permuted"):
            sessions = synthetic.make_sessions(size.spec, seed=0)
            if part == "permuted":
                sessions = [models.permuted(session, seed=1) for session in sessions]
            written(sessions, root)
        elif part == "steinmetz":
            import mtm_data  # mice with what they chose; here, as it changes where modules are looked for

            return [mtm_data.folder_of("mice", runs)]
        else:
            recordings.allen(root, recordings.allen_order()[-recordings.HELD_BACK :])
    return [root]


def written(sessions: list[Session], root: Path) -> Path:
    """Session folders with their index."""
    for session in sessions:
        write_session(session, root)
    write_dataset_index(root)
    return root


def roots_of(entry: models.Entry, root: Path, runs: Path) -> list[Path]:
    """The data that each model of an entry is trained on."""
    if not entry.alone:
        return [root]
    sessions = open_dataset(root).sessions
    if len(sessions) == 1:
        return [root]
    roots = []
    for session in sessions:
        own = runs / "data" / f"{root.name}_alone" / session.session_id
        roots.append(own if (own / "dataset.json").exists() else written([session], own))
    return roots


def scored_roots(entry: models.Entry, part: str, root: Path, runs: Path) -> list[Path]:
    """The data that each model of an entry is scored on: its own, or of all animals one session each."""
    if part not in OF_A_SUBJECT:
        return roots_of(entry, root, runs)
    first = {}
    for session in open_dataset(root).sessions:
        first.setdefault(session.info["subject_id"], session)
    if entry.alone:
        names = {session.session_id for session in first.values()}
        return [own for own in roots_of(entry, root, runs) if own.name in names]
    own = root.with_name(f"{root.name}_of_a_subject")
    return [own if (own / "dataset.json").exists() else written(list(first.values()), own)]


def fields_of(part: str, size: Size, root: Path, seed: int) -> dict[str, Any]:
    """Entries that every model has alike."""
    return {
        "seed": seed,
        "data.root": str(root),
        "data.trials_per_batch": 32 if size.num_boot > 20 else 4,
        "train.most_passes": MOST_PASSES.get(part, 0.0),
        "train.validate_every_steps": 0,
        "train.save_every_steps": 500,
        "train.log_every_steps": 50,
        "eval.num_boot": size.num_boot,
        "eval.baselines": "train_mean,stack" if part not in AGAIN else "train_mean",
        "eval.mixed_with": "",
        "eval.leave_out": "groups" if part in OF_A_SUBJECT else "exact",
    }


def sized(name: str, part: str, size: Size, root: Path) -> dict[str, Any]:
    """The width at which a model has the shared parameters of the reference, and what a step of it costs."""
    fields, entries = fields_of(part, size, root, 0), models.available()
    dataset = open_dataset(root)
    reference, own = (models.declared(entries[one], fields) for one in (models.REFERENCE, name))
    facts = settings.open_source(reference, dataset.to_read).facts
    parameters = models.shared_parameters(reference, facts)
    config = models.matched(own, entries[name], facts, parameters)
    return {
        "width": config["model"][entries[name].scaled[0]],
        "shared_parameters": models.shared_parameters(config, facts),
        **{key: round(value, 6) for key, value in models.measured(config, dataset).items()},
    }


def run_of(name: str, part: str, size: Size, root: Path, seed: int, runs: Path, known: Mapping) -> dict[str, Any]:
    """Trains and scores one model, or one of each animal; what results.json keeps. `known` is of `sized`."""
    entry, parts = models.available()[name], []
    roots = roots_of(entry, root, runs)
    steps = max(2, round(size.cpu_s[part] / len(roots) / known["cpu_s_a_step"]))
    scored = scored_roots(entry, part, root, runs)
    for own in scored if entry.alone else roots:  # a model of an animal that is not scored is left out
        dataset = open_dataset(own)
        config = models.with_width(models.declared(entry, fields_of(part, size, own, seed)), entry, known["width"])
        folder = folder_of(name, part, seed, own if len(roots) > 1 else None, runs)
        trials = sum(len(session.trials_of(TRAIN)) for session in dataset.sessions)
        # bounded here, so that what goes by the number of steps goes by that which is taken
        batch = config["data"]["trials_per_batch"]
        within = settings.steps_within_passes(models.of_steps(config, steps), trials, batch)
        begun = time.process_time()
        run.train(models.of_steps(config, within), folder, dataset=dataset, log=silent)
        trained = time.process_time()
        elsewhere = part in OF_A_SUBJECT and not entry.alone
        there = {"data": scored[0], "out": folder / "evaluation_scored.json"} if elsewhere else {}
        record = run.evaluate(folder, log=silent, **there)
        entries = {
            "steps": within,
            "training_cpu_s": round(trained - begun, 1),
            "evaluation_cpu_s": round(time.process_time() - trained, 1),
            "sessions": {key: scores_of(session) for key, session in record["sessions"].items()},
        }
        if seed == 0 and part not in AGAIN:  # one seed is enough to say what its states know
            entries["decoded"] = decoded(folder, part, scored[0] if elsewhere else None)
        parts.append(entries)
    return together(parts)


def folder_of(name: str, part: str, seed: int, alone: Path | None, runs: Path) -> Path:
    """Workdir of a model; `alone` is the data of a model of one animal among several."""
    folder = runs / part / f"{name}_seed{seed}"
    return folder / alone.name if alone else folder


def timed(name: str, part: str, root: Path, seed: int, runs: Path) -> dict[str, Any]:
    """What predicting a trial costs a trained model, of the animal with the most units; how training went."""
    roots = scored_roots(models.available()[name], part, root, runs)
    units = {own: max(one.num_units for one in open_dataset(own).sessions) for own in roots}
    own = max(units, key=units.__getitem__)
    folder = folder_of(name, part, seed, own if len(roots) > 1 else None, runs)
    session = max(open_dataset(own).sessions, key=lambda session: session.num_units)
    cost = models.pass_cpu_ms(load(folder), session)
    rows = [row for row in read_metrics(folder) if "train/loss" in row]
    curve = {"step": [row["step"] for row in rows], "loss": [round(row["train/loss"], 5) for row in rows]}
    return {"pass_cpu_ms": round(cost, 3), "units": units[own], "curve": curve, **provenance(HERE)}


def silent(line: str) -> None:
    """Takes a line of a log and keeps it to itself."""


def scores_of(session: Mapping[str, Any]) -> dict[str, Any]:
    """Who -> task -> pooled bits/spike of the test trials, and its interval of the model."""
    found = {"model": {}, "stack": {}}
    for task in TASKS:
        block = session["tasks"].get(task) or {}
        bar = (session["baselines"].get("stack", {}).get(task)) or {}
        found["model"][task] = [block.get("bps_pooled"), block.get("bps_pooled_ci95")]
        found["stack"][task] = [bar.get("bps_pooled"), bar.get("bps_pooled_ci95")]
    return found


def decoded(folder: Path, part: str, data: Path | None) -> dict[str, float]:
    """Target -> mean main score over sessions (of `data`, or all) of a linear read-out of the frozen states."""
    found = {}
    for target in TARGETS.get(part, ()):
        try:
            record = decode(folder, target=target, data=data, **DECODED)
        except InputError as error:  # a recording without it
            print(f"{folder}: {error}")
            continue
        main = MAIN[record["kind"]]
        found[f"{target}, {main.replace('_', ' ')}"] = round(record["mean"]["model"][main], 5)
    return found


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One entry of several models of one animal each: costs are summed, scores stay apart."""
    first = dict(parts[0])
    for other in parts[1:]:
        for name in ("steps", "training_cpu_s", "evaluation_cpu_s"):
            first[name] += other[name]
        first["sessions"] = first["sessions"] | other["sessions"]
    for target in first.get("decoded", {}):
        first["decoded"] = first["decoded"] | {target: sum(one["decoded"][target] for one in parts) / len(parts)}
    return first | {"models": len(parts)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = lambda text: tuple(filter(None, text.split(",")))  # noqa: E731
    parser.add_argument("--part", type=several, default=("synthetic", "permuted"))
    parser.add_argument("--models", type=several, default=())
    parser.add_argument("--seeds", type=several, default=("0", "1"))
    parser.add_argument("--size", choices=SIZES, default="local")
    parser.add_argument("--runs", type=Path, default=None, help="default: runs/model_zoo, or runs/model_zoo_smoke")
    parser.add_argument("--results", type=Path, default=None, help="default: results.json here, or results_smoke.json")
    parser.add_argument("--cpu_minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    end = "" if given.size == "local" else f"_{given.size}"
    runs = given.runs or Path(f"runs/model_zoo{end}")
    results = given.results or HERE / f"results{end}.json"
    if unknown := [part for part in given.part if part not in PARTS]:
        raise SystemExit(f"no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    known = models.available()
    if unknown := [name for name in given.models if name not in known]:
        raise SystemExit(f"no model {unknown[0]!r}; choose from {', '.join(known)}")
    # The same program of another seed, order or animal is compiled once.
    jax.config.update("jax_compilation_cache_dir", str((runs / "compiled").absolute()))
    for part in given.part:
        for root in data_of(part, SIZES[given.size], runs):
            for seed in given.seeds if part not in AGAIN else given.seeds[:1]:
                for name in given.models or (known if part != "same_steps" else SLOWER):
                    if time.process_time() > 60 * given.cpu_minutes:
                        raise SystemExit(f"{given.cpu_minutes:g} CPU minutes are over; the rest waits")
                    one(name, part, SIZES[given.size], root, int(seed), runs, results)


def one(name: str, part: str, size: Size, root: Path, seed: int, runs: Path, results: Path) -> None:
    """Adds a run to the results, and of the first seed what a pass costs, unless they are there."""
    day = root.parent.name if part.startswith("monkeys") else ""
    runs = runs / day if day else runs
    found = read_json(results) if results.exists() else {}
    block = found.setdefault(part, {"sized": {}, "runs": {}})
    key, of_sizes = "/".join(filter(None, (name, day, f"seed {seed}"))), "/".join(filter(None, (name, day)))
    failed, passes = block.setdefault("failed", {}), block.setdefault("passes", {})
    if key not in block["runs"] and key not in failed:
        begun = time.process_time()
        alike = found.get("synthetic", {}).get("sized", {}) if part in AGAIN else {}
        if of_sizes not in block["sized"]:
            block["sized"][of_sizes] = alike.get(of_sizes) or sized(name, part, size, root)
            if part == "same_steps":
                reference = alike.get(models.REFERENCE) or sized(models.REFERENCE, part, size, root)
                block["sized"][of_sizes] = block["sized"][of_sizes] | {"cpu_s_a_step": reference["cpu_s_a_step"]}
            write_json(results, found)
        try:
            made = run_of(name, part, size, root, seed, runs, block["sized"][of_sizes])
        except Interrupted as stopped:
            raise SystemExit(f"{stopped}; the same command goes on") from None
        except Diverged as error:  # a model that cannot be trained so keeps none of the others
            failed[key] = str(error)
        else:
            block["runs"][key] = made | {"cpu_s": round(time.process_time() - begun, 1), **provenance(HERE)}
        write_json(results, found)
        print(f"{part}, {key}: {failed.get(key) or f'{time.process_time() - begun:.0f} CPU s'}", flush=True)
    if key in block["runs"] and seed == 0 and part not in AGAIN and of_sizes not in passes:
        passes[of_sizes] = timed(name, part, root, seed, runs)
        write_json(results, found)


if __name__ == "__main__":
    main()
