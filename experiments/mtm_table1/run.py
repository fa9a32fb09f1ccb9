"""Masking ablation: one model trained with one masking, or with four, and asked all tasks (table 1 of the paper).

    python experiments/mtm_table1/run.py [--size=smoke|local|paper] [--only=synthetic/mtm,...] [--runs=runs/mtm]

Parts of `local`: synthetic, synthetic_linear (with the linear path of configs/mtm.py), allen, mice. An arm that
results.json has is not run again; an interrupted one goes on.
"""

import functools
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402

SMOKE = ("temporal", "mtm")


def one(size: str, part: str, masking: str, runs: Path) -> dict[str, Any]:
    """An arm: four tasks, behaviour, and the linear stack beside them."""
    return mtm_arms.scored(mtm_arms.arm(size, part, masking, runs), mtm_arms.PARTS[size][part].targets)


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every part and masking."""
    return [
        mtm_arms.Job(f"{part}/{masking}", functools.partial(one, size, part, masking, runs))
        for part in mtm_arms.parts_with(size)
        for masking in (SMOKE if size == "smoke" else mtm_arms.MASKINGS)
    ]


if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
