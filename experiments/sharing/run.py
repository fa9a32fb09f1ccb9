"""Does sharing help? Models of 1, 4, 16 and 31 animals, given one more animal; beside it trained alone, and the stack.

    python experiments/sharing/run.py --part=choose       # steps of each arm, on validation trials of training animals
    python experiments/sharing/run.py --part=synthetic    # common_share 1, 0 and 0.5
    python experiments/sharing/run.py --part=mice [--seeds=0,1,2]
    python experiments/sharing/run.py --part=steinmetz

Every finished animal of an arm is an entry of results.json and is not run again; pretraining goes on from its
checkpoint.
With --cpu_minutes nothing starts after so many minutes of CPU time.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import arms
import jax
import numpy as np
from arms import ALONE, FROZEN, FULL, STACK

from neurojax.data import splits
from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.data.store.dataset import open_dataset
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError, Interrupted
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.append(str(HERE.parent / "yardstick"))
import recordings  # noqa: E402  where recordings come from

SHARES = (1.0, 0.0, 0.5)  # common_share of the synthetic animals
SPEC = synthetic.SyntheticSpec(min_units=64, max_units=64, min_region_units=12, num_trials=200, num_bins=40)
NUM_TRAINED, NUM_TESTED = 32, 8  # synthetic animals; of mice 31 and 8
UNITS = 120  # of a mouse, drawn at random: one compiled program serves all (the smallest recording has 124)
CHOSEN_ON = 2  # the last training animals in the drawn order, on which steps are chosen
CHOSEN_FROM = 4  # animals of the pretraining that steps are chosen with


@dataclasses.dataclass(frozen=True)
class Kind:
    """What synthetic animals and mice differ in.

    Attributes:
        fields: entries of the config.
        passes: of the pretraining over the training trials of each animal, however many animals.
        numbers: of animals in the pretraining, nested.
        between: further numbers, for the learning curve: new rows alone, at the first fraction.
        fractions: of the training trials of a new animal.
        share: of the pairs of test trial and unit that are left out in turn.
    """

    fields: tuple[str, ...]
    passes: int
    numbers: tuple[int, ...]
    between: tuple[int, ...]
    fractions: tuple[float, ...]
    share: float


# what `size=small`, the size for recordings, has beside its shapes
OF_RECORDINGS = ("model.dropout=0.3", "model.dropout_embed=0.3", "objective.neuron_ratio=0.5")
KINDS = {
    "synthetic": Kind(("data.bucket_units=64",), 10, (32, 1), (4, 16, 2, 8), (0.1,), 0.25),
    "mice": Kind((*OF_RECORDINGS, "data.bucket_units=120"), 30, (31, 1, 4, 16), (2, 8), (0.1, 1.0, 0.3), 0.125),
    "steinmetz": Kind((*OF_RECORDINGS, "data.bucket_units=120"), 30, (6, 1), (), (0.25, 1.0), 0.05),
}
GRID = {FROZEN: (0, 100), FULL: (20, 50, 150), ALONE: (40, 100, 300)}  # steps that are tried; 0: closed form


@dataclasses.dataclass(frozen=True)
class Animals:
    """Sessions to pretrain on in the drawn order, and those held back."""

    trained: list[Session]
    tested: list[Session]


def animals(part: str, share: float | None, seed: int, runs: Path) -> Animals:
    """The animals of a part; the seed orders those of the pretraining, those held back stay the same."""
    if part == "synthetic":
        spec = dataclasses.replace(SPEC, num_sessions=NUM_TRAINED + NUM_TESTED, common_share=share)
        sessions = synthetic.make_sessions(spec, seed=0)
        trained, tested = sessions[NUM_TESTED:], sessions[:NUM_TESTED]
    elif part == "mice":
        root, order = runs / "data" / "allen" / "sessions", recordings.allen_order()
        if not (root / "dataset.json").exists():
            recordings.allen(root, order)
        by_name = {session.session_id: session for session in open_dataset(root).sessions}
        sessions = [by_name[name] for name in order]
        trained, tested = sessions[: -recordings.HELD_BACK], sessions[-recordings.HELD_BACK :]
    else:
        root = runs / "data" / "steinmetz"
        if not (root / "dataset.json").exists():
            recordings.mice(root)
        sessions = list(open_dataset(root).sessions)
        own = next(one.info["subject_id"] for one in sessions if one.session_id == "session5")
        tested = [one for one in sessions if one.info["subject_id"] == own]  # all of one mouse
        trained = [one for one in sessions if one.info["subject_id"] != own]
    if part != "synthetic":
        trained, tested = ([with_units(one, UNITS) for one in some] for some in (trained, tested))
    order = np.random.default_rng([seed, len(trained)]).permutation(len(trained))
    return Animals([trained[place] for place in order], tested)


def with_units(session: Session, number: int) -> Session:
    """The recording with so many of its units, drawn at random by its name."""
    rng = np.random.default_rng(list(session.session_id.encode()))
    kept = np.sort(rng.permutation(session.num_units)[:number])
    of_units = ("unit_id", "region", "region_group", "region_source")
    return session.with_fields(
        counts=np.ascontiguousarray(session.counts[:, kept]),
        unit_metadata={name: values[kept] for name, values in session.unit_metadata.items()},
        **{name: getattr(session, name)[kept] for name in of_units},
    )


def steps_of_pretraining(kind: Kind, sessions: Sequence[Session]) -> int:
    """Equal passes over the training trials of every animal, however many animals."""
    trials = sum(len(session.trials_of(0)) for session in sessions)
    return max(1, round(kind.passes * trials / arms.TRIALS_PER_BATCH))


def base_of(part: str, share: float | None, seed: int, number: int, known: Animals, runs: Path):
    """The model of the first `number` animals."""
    kind, sessions = KINDS[part], known.trained[:number]
    name = part if share is None else f"{part}_{share:g}"
    folder = runs / "pretrained" / f"{name}_seed{seed}_{number}"
    return arms.pretrained(kind.fields, sessions, steps_of_pretraining(kind, sessions), seed, folder)


def scores_of(kind: Kind, arm: str, steps: int, session: Session, fewer: Session, base, known, split: int, seed: int):
    """Task -> bits/spike of one arm on one animal."""
    if arm == STACK:
        return arms.stack_scores(fewer, session, split, kind.share)
    if arm == ALONE:
        model = arms.alone(kind.fields, fewer, steps, seed)
    else:
        model = arms.adapted(base, arm, fewer, steps, known, seed)
    return arms.model_scores(model, session, split, kind.share)


def planned(kind: Kind) -> Iterator[tuple[float, int, str]]:
    """(fraction, animals of the pretraining, arm), what tells most first."""
    for fraction in kind.fractions:
        yield from ((fraction, 0, arm) for arm in (STACK, ALONE))
        for number in kind.numbers:
            yield from ((fraction, number, arm) for arm in (FROZEN, FULL))
        if fraction == kind.fractions[0]:
            yield from ((fraction, number, FROZEN) for number in kind.between)


class Results:
    """results.json: a list of entries, written anew after each; each names its commit."""

    def __init__(self, path: Path):
        self.path = path
        self.entries = read_json(path)["entries"] if path.exists() else []
        self.about = provenance(HERE)  # before a file that git knows is written
        self.versions = self.about.pop("versions")

    def has(self, **key) -> bool:
        return any(all(entry.get(name) == value for name, value in key.items()) for entry in self.entries)

    def add(self, entry: dict) -> None:
        self.entries.append(entry | self.about)
        command = "python experiments/sharing/run.py"
        write_json(self.path, {"command": command, "versions": self.versions, "entries": self.entries})
        print({name: value for name, value in entry.items() if name != "split"}, flush=True)


def chosen(results: Results, part: str, arm: str, fraction: float) -> int:
    """Steps with the best validation score, mean of animals and tasks, at the nearest share that was tried."""
    if arm == STACK:
        return 0
    tried = [e for e in results.entries if e["part"] == f"choose {part}" and e["arm"] == arm]
    if not tried:
        raise SystemExit(f"no steps were chosen for {arm}; run --part=choose --of={part} first")
    nearest = min((entry["fraction"] for entry in tried), key=lambda one: (abs(np.log(one / fraction)), one))
    scores: dict[int, list[float]] = {}
    for entry in tried:
        if entry["fraction"] == nearest:
            scores.setdefault(entry["steps"], []).extend(entry["scores"].values())
    return max(scores, key=lambda steps: (np.mean(scores[steps]), -steps))


def compare(part: str, shares, seed: int, runs: Path, results: Results, over) -> None:
    """Every arm of a part that has no entry yet, on test trials."""
    kind = KINDS[part]
    for share in shares:
        known, bases = animals(part, share, seed, runs), {}
        for fraction, number, arm in planned(kind):
            steps = chosen(results, part, arm, fraction)
            for session in known.tested:
                key = {"part": part, "common_share": share, "seed": seed, "fraction": fraction, "animals": number}
                key |= {"arm": arm, "session": session.session_id}
                # the share of its trials is the same for every seed, and the stack has none
                if results.has(**(key | {"seed": 0} if arm == STACK else key)):
                    continue
                if over():
                    return
                if number and number not in bases:
                    bases[number] = base_of(part, share, seed, number, known, runs)
                begun, fewer = time.process_time(), splits.with_train_fraction(session, fraction, 0)
                asked = (session, fewer, bases.get(number), known.trained[:number], TEST, seed)
                scores = scores_of(kind, arm, steps, *asked)
                entry = {"steps": steps, "cpu_s": round(time.process_time() - begun, 1), "scores": scores}
                results.add(key | entry)


def choose(part: str, share: float | None, runs: Path, results: Results, over) -> None:
    """Steps of every arm, on validation trials of training animals that the small pretraining leaves out."""
    kind, known = KINDS[part], animals(part, share, 0, runs)
    base = None
    for fraction in kind.fractions[:2]:
        for arm, grid in {STACK: (0,), **GRID}.items():
            for steps in grid:
                for session in known.trained[-CHOSEN_ON:]:
                    key = {"part": f"choose {part}", "common_share": share, "seed": 0, "fraction": fraction}
                    key |= {"arm": arm, "steps": steps, "session": session.session_id}
                    if results.has(**key):
                        continue
                    if over():
                        return
                    base = base or base_of(part, share, 0, CHOSEN_FROM, known, runs)
                    begun, fewer = time.process_time(), splits.with_train_fraction(session, fraction, 0)
                    asked = (session, fewer, base, known.trained[:CHOSEN_FROM], VALIDATION, 0)
                    scores = scores_of(kind, arm, steps, *asked)
                    results.add(key | {"cpu_s": round(time.process_time() - begun, 1), "scores": scores})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("choose", *KINDS), required=True)
    parser.add_argument("--of", choices=KINDS, default="mice", help="the animals that steps are chosen for")
    parser.add_argument("--shares", type=lambda text: tuple(map(float, text.split(","))), default=SHARES)
    parser.add_argument("--seeds", type=lambda text: tuple(map(int, text.split(","))), default=(0,))
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "sharing")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--cpu_minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    os.makedirs(given.runs, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(given.runs / "compiled"))  # animals of one size compile once
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    kept, most = Results(given.results), 60 * given.cpu_minutes
    try:
        if given.part == "choose":
            # half: neither of the two ends is tuned for
            choose(
                given.of, 0.5 if given.of == "synthetic" else None, given.runs, kept, lambda: time.process_time() > most
            )
        else:
            for number in given.seeds:
                shares = given.shares if given.part == "synthetic" else (None,)
                compare(given.part, shares, number, given.runs, kept, lambda: time.process_time() > most)
    except (InputError, Interrupted) as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
