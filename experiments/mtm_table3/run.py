"""Held-out animals: trained alone, or fine-tuned after pretraining on the others (table 3 of the paper).

    python experiments/mtm_table3/run.py [--size=smoke|local|paper] [--only=synthetic/mtm,...] [--runs=runs/mtm]

Runs are those of mtm_scaling where they have been trained; entries are named <recordings>/<masking>/<sessions of the
pretraining>, 0 for an animal alone.
"""

import functools
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402
import mtm_held_out  # noqa: E402

NUMBERS = {"smoke": (0, 1), "local": (0, 10), "paper": (0, 34)}
MASKINGS = {"smoke": ("mtm",), "local": ("mtm", "temporal"), "paper": ("mtm", "temporal")}


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Alone and after pretraining, each masking."""
    recordings = "ibl" if size == "paper" else "synthetic"
    return [
        mtm_arms.Job(
            f"{recordings}/{masking}/{number}",
            functools.partial(mtm_held_out.trained_on, size, masking, number, runs),
        )
        for number in NUMBERS[size]
        for masking in MASKINGS[size]
    ]


if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
