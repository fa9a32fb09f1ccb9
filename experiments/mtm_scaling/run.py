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
MASKINGS = {"smoke": ("mtm",), "local": ("mtm", "temporal"), "paper": ("mtm", "temporal")}


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every number of sessions and masking, the cheap ones first."""
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
