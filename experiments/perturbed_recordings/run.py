"""Randomly perturbed recordings through every door: how many end right, counted or refused in words, and which do not.

    python experiments/perturbed_recordings/run.py [--only=DOOR;...] [--seeds=0:300] [--again] [--show]

Writes results.json and takes up where it stopped (--again computes the chosen seeds anew); exit code 1 when a case
failed.
"""

import argparse
import collections
import json
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np

from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from doors import DOORS  # noqa: E402
from judge import OUTCOMES, compare, lines_of, outcome_of  # noqa: E402
from perturbations import perturbed  # noqa: E402
from real_doors import REAL_DOORS, real_case  # noqa: E402
from recording import make  # noqa: E402

SEEDS = 300
_SAVE_EVERY = 50


def run_case(door: str, seed: int, scratch: Path, good: bool = False) -> tuple[str, str, list[str]]:
    """Outcome, message and perturbations of one case; the same for the same seed. A `good` one is not perturbed."""
    rng = np.random.default_rng([zlib.crc32(door.encode()), seed])
    scratch.mkdir(parents=True, exist_ok=True)
    folder = scratch / "input"
    folder.mkdir()
    if door in REAL_DOORS:
        return real_case(door, rng, folder, scratch, good)
    write, abilities = DOORS[door]
    recording = make(rng)
    recording.gap_s = 24.0 if "counts" in abilities else 15.0
    applied = [] if good else perturbed(recording, abilities, rng)
    made, names = write(recording, folder, rng)
    has = abilities - {"regions"} if "no regions" in recording.how else abilities
    outcome, message = outcome_of(made, scratch, applied, lambda session: compare(session, recording, names, has))
    return outcome, message.replace(str(scratch), ""), recording.applied


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition(":")
    return list(range(int(first), int(last))) if last else [int(number) for number in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default=f"0:{SEEDS}")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--failed", action="store_true", help="those that failed last time, again")
    parser.add_argument("--show", action="store_true", help="prints every case")
    parser.add_argument("--results", default=str(HERE / "results.json"))
    words = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    wanted = [door for door in words.only.split(";") if door] or [*DOORS, *REAL_DOORS]
    wanted = [door for door in [*DOORS, *REAL_DOORS] if any(name in door for name in wanted)]
    file = Path(words.results)
    cases = json.loads(file.read_text())["cases"] if file.is_file() else {}
    for door in wanted:
        known = cases.setdefault(door, {})
        for seed in _seeds(words.seeds):
            failed = known.get(str(seed), "FAILED").startswith("FAILED")
            if str(seed) in known and not words.again and not (words.failed and failed):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                outcome, message, applied = run_case(door, seed, Path(scratch) / "case")
            known[str(seed)] = f"{outcome}: {' + '.join(applied)}"
            if words.show or outcome == "FAILED":
                print(f"{outcome}: {door}, seed {seed}: {' + '.join(applied)}: {message}\n", flush=True)
            if len(known) % _SAVE_EVERY == 0:
                _save(file, cases)
        _save(file, cases)
    print("\n".join(lines_of(_counted(cases))))
    return int(any(text.startswith("FAILED") for known in cases.values() for text in known.values()))


def _counted(cases: dict[str, dict[str, str]]) -> dict[str, dict[str, int]]:
    return {
        door: dict(collections.Counter(t.partition(":")[0] for t in known.values())) for door, known in cases.items()
    }


def _save(file: Path, cases: dict[str, dict[str, str]]) -> None:
    failed = {
        door: {seed: text for seed, text in known.items() if text.startswith("FAILED")} for door, known in cases.items()
    }
    table = {
        door: {outcome: numbers.get(outcome, 0) for outcome in OUTCOMES} for door, numbers in _counted(cases).items()
    }
    write_json(file, {**provenance(HERE), "by_door": table, "failed": failed, "cases": cases})


if __name__ == "__main__":
    sys.exit(main())
