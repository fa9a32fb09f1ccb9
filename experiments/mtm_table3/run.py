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
jobs = functools.partial(mtm_held_out.jobs, NUMBERS)

if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
