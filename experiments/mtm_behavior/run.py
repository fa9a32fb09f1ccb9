"""Choice and movement read out of models trained with temporal masking and with MtM, beside the spikes themselves.

    python experiments/mtm_behavior/run.py [--size=smoke|local|paper] [--only=synthetic,...] [--runs=runs/mtm]

Parts of `local`: synthetic and synthetic_linear (choice, wheel speed), mice (choice), monkey (velocity of the hand).
Models are those of mtm_table1 where they have been trained.
"""

import functools
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402
import mtm_held_out  # noqa: E402


def one(size: str, part: str, masking: str, runs: Path) -> dict[str, Any]:
    """Behaviour read out of the rates of one model, and of the spikes, in every session."""
    if size == "paper":  # new animals after the largest pretraining, as in the paper's table 3
        return mtm_held_out.trained_on(size, masking, 34, runs)
    found = mtm_arms.arm(size, part, masking, runs)
    return mtm_arms.scored(found, mtm_arms.PARTS[size][part].targets)


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every part with a behaviour, temporal masking and MtM."""
    return [
        mtm_arms.Job(f"{part}/{masking}", functools.partial(one, size, part, masking, runs))
        for part in mtm_arms.parts_with(size, tasks=False)
        for masking in ("temporal", "mtm")
    ]


if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
