"""How the accuracy of people never seen grows with the people trained on, and what few of them foretell.

    python experiments/gestures/curve.py [--runs=runs/gestures_curve] [--part=people|ring|forecast]

people  27 people in five folds: of each fold's training people the first 1, 2, 4, 8, 16 and 21 of a drawn order (two
        orders up to 8), one network each, the same steps for all; a point is the mean over all 27 people. The curve is
        fitted to the points of up to 8 people alone and asked for 21.
ring    made-up people of data.synthetic.ring (rotated, rescaled), whose best possible reader is known.
forecast  of the points that are there, no network is trained; 32 of the made-up people are asked for.

Writes curve.json after every point; a repeated command goes on where it was.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from neurojax.analysis import accuracy_curve, scaling
from neurojax.commands import config as configs
from neurojax.data.conversion import convert_session
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import signals
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.synthetic import ring
from neurojax.errors import InputError
from neurojax.evals.gesture_scores import balanced_accuracy
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SIZES, TWICE_UP_TO, FITTED_UP_TO, ASKED = (1, 2, 4, 8, 16, 21), 8, 8, 21
STEPS, WINDOWS = 600, 256  # of every network, whatever its people
# Fixed before a network was trained on them: people turned by up to half an electrode, gains and efforts of their own.
RING = ring.RingSpec(num_people=40, turned_std_turns=0.06, gain_std=0.3, noise=0.8)
RING_SIZES, RING_TESTED, RING_SEED = (1, 2, 4, 8, 16, 32), 8, 3
RING_MIN_STEP = 0.1  # of samples with a standard deviation of 0.8 at rest


def scores(sessions, trained: list[str], tested: list[str], folder: Path, **data) -> dict:
    """Balanced accuracy of each tested person by a network of the trained ones; `data` as of a config."""
    split = {**dict.fromkeys(trained, TRAIN), **dict.fromkeys(tested, TEST)}
    chosen = [s for s in sessions if s.session_id in split]
    people = [s.with_fields(split=np.full_like(s.split, split[s.session_id])) for s in chosen]
    asked = configs.load([f"--config={REPOSITORY / 'configs' / 'emg.py'}"])
    asked["data"] |= {"trials_per_batch": WINDOWS, **data}
    asked["train"] |= {"num_steps": STEPS, "validate_every_steps": 0}
    asked["eval"] |= {"floors": ""}
    together, quiet = dataset_of(people), lambda line: None
    run.train(asked, folder, dataset=together, log=quiet)
    found = run.evaluate_run(folder, asked, together, out=folder / "scores.json", log=quiet)["gestures"]
    blocks = {"people": found, "as_worn": found.get("as_worn", found)}
    return {
        part: {name: one["balanced_accuracy"] for name, one in block["people"].items()}
        for part, block in blocks.items()
    }


def drawn(names: list[str], seed: int) -> list[str]:
    """People in an order of their own for each seed; subsets of one order are nested."""
    return [names[k] for k in np.random.default_rng(seed).permutation(len(names))]


def of_people(root: Path, runs: Path, kept: dict) -> None:
    """Adds the points of 27 people to `kept`, and what the small ones foretell."""
    sessions = open_dataset(root).sessions
    folds = {s.session_id: s.info["fold"] for s in sessions}
    for size in SIZES:
        for draw in (0, 1) if size <= TWICE_UP_TO else (0,):
            point = kept["points"].setdefault(
                f"{size}/{draw}", {"num_people": size, "draw": draw, "people": {}, "as_worn": {}}
            )
            for fold in sorted(set(folds.values())):
                tested = [name for name, own in folds.items() if own == fold]
                if set(tested) <= point["people"].keys():
                    continue
                others = drawn(sorted(folds.keys() - set(tested)), 100 * draw + fold)
                folder = runs / f"people_{size}_{draw}_{fold}"
                for part, own in scores(sessions, others[:size], tested, folder).items():
                    point[part] |= own
                write_json(HERE / "curve.json", kept["all"])
            for part in ("people", "as_worn"):
                point[f"{part}_mean"] = float(np.mean(list(point[part].values())))
            print(
                f"{size:3} people, draw {draw}: {point['people_mean']:.3f}, as worn {point['as_worn_mean']:.3f}",
                flush=True,
            )


def forecasts(results: dict) -> dict:
    """Of the people in the order found and as worn, and of the made-up ones."""
    points, made_up = (list(part["points"].values()) for part in (results, results["ring"]))
    found = {part: forecast(points, f"{part}_mean", ASKED, 1 / 7) for part in ("people", "as_worn")}
    chance = 1 / len(ring.GESTURES)
    found["ring"] = forecast(made_up, "people_mean", RING_SIZES[-1], chance)
    return found | {"commit": provenance(HERE)["commit"]}


def forecast(points: list[dict], name: str, asked: int, chance: float) -> dict:
    """What the points of up to 8 people say of more, and what was found there."""
    few = [one for one in points if one["num_people"] <= FITTED_UP_TO]
    found = float(np.mean([one[name] for one in points if one["num_people"] == asked]))
    curve = scaling.points([one["num_people"] for one in few], [one[name] for one in few])
    try:
        said = accuracy_curve.forecast(curve, at=asked, chance=chance)
    except InputError as error:
        return {"observed": found, "forecast": None, "reason": str(error)}
    return {
        "observed": found, "forecast": said.value, "low": said.run_low, "high": said.run_high, "level": said.level,
        "curve_low": said.low, "curve_high": said.high, "words": said.words,
        "within": None if said.value is None else abs(said.value - found),
        "holds": bool(said.run_low <= found <= said.run_high),
    }  # fmt: skip


def of_ring(runs: Path, kept: dict) -> None:
    """Adds the points of made-up people, read as worn, and the best that any reader can do."""
    made, root = runs / "ring_files", runs / "ring_people"
    ring.write_people(made, RING, RING_SEED)
    for path in sorted(made.glob("*.npz")):
        convert_session(path, kind="emg", out=root)
    write_dataset_index(root)
    sessions = {s.session_id: s for s in open_dataset(root).sessions}
    names = [f"person-{k}" for k in range(RING.num_people)]
    tested, others = names[:RING_TESTED], names[RING_TESTED:]
    _, labels = signals.classes_of([sessions[name] for name in tested], "gesture")
    best = {}
    for number, (name, label) in enumerate(zip(tested, labels, strict=True)):
        windows = sessions[name].gather_trials(np.arange(sessions[name].num_trials))[0]
        said = ring.best_read(windows, ring.patterns(RING, RING_SEED, number))
        best[name] = balanced_accuracy(said, label, len(ring.GESTURES))
    kept["ring"] |= {"best": best, "best_mean": float(np.mean(list(best.values())))}
    for size in RING_SIZES:
        for draw in (0, 1) if size < RING_SIZES[-1] else (0,):
            if f"{size}/{draw}" in kept["ring"]["points"]:
                continue
            chosen = drawn(others, draw)[:size]
            own = {"order": "as_worn", "min_step": RING_MIN_STEP}
            found = scores(list(sessions.values()), chosen, tested, runs / f"ring_{size}_{draw}", **own)["people"]
            mean = float(np.mean(list(found.values())))
            kept["ring"]["points"][f"{size}/{draw}"] = {
                "num_people": size,
                "draw": draw,
                "people": found,
                "people_mean": mean,
            }
            print(f"ring, {size:3} people, draw {draw}: {mean:.3f}, best {kept['ring']['best_mean']:.3f}", flush=True)
            write_json(HERE / "curve.json", kept["all"])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures_curve"))
    parser.add_argument("--part", default="people,ring")
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    path = HERE / "curve.json"
    results = read_json(path) if path.is_file() else {"points": {}, "forecast": {}, "ring": {"points": {}}}
    if options.part != "forecast":
        results |= {"command": "python experiments/gestures/curve.py", **provenance(HERE), "num_steps": STEPS}
    results["chance"] = {"people": 1 / 7, "ring": 1 / len(ring.GESTURES)}
    parts = results | {"all": results}
    if "ring" in options.part:
        of_ring(options.runs, parts)
    if "people" in options.part:
        data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
        root = options.runs / "people"
        if main(["convert", "emg", str(data / "emg_myo_people"), f"--out={root}"]):
            raise SystemExit("the people could not be converted")
        of_people(root, options.runs, parts)
    results["forecast"] = forecasts(results)
    write_json(path, results)
