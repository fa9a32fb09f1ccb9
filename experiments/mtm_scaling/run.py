"""New animals after pretraining on 1, 10, 34 others: four tasks and behaviour, MtM beside temporal masking.

    python experiments/mtm_scaling/run.py [--size=smoke|local|paper] [--only=synthetic/mtm,...] [--runs=runs/mtm]

Entries are named <recordings>/<masking>/<sessions of the pretraining>; 0 is trained on the new animal alone. What
results.json has is not run again; an interrupted run goes on.
"""

import functools
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402
import mtm_held_out  # noqa: E402

NUMBERS = {"smoke": (1,), "local": (0, 1, 4, 10, 34), "paper": (0, 1, 10, 34)}
jobs = functools.partial(mtm_held_out.jobs, NUMBERS)

if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
