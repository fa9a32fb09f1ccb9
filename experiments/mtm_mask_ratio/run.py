"""How much is hidden: 0.1, 0.3 or 0.6 of the units or bins, for each masking and for MtM.

    python experiments/mtm_mask_ratio/run.py [--size=smoke|local|paper] [--only=synthetic/mtm,...] [--runs=runs/mtm]

Entries are named <recordings>/<masking>/<ratio>; causal and inter-region masking have none (`any`). The runs at 0.3 are
those of mtm_table1 where they have been trained.
"""

import functools
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402

RATIOS = {"smoke": (0.1,), "local": (0.3, 0.1, 0.6), "paper": (0.3, 0.1, 0.6)}
MASKINGS = ("mtm", "neuron", "temporal", "intra_region")
WITHOUT = ("causal", "inter_region")


def one(size: str, part: str, masking: str, ratio: float | None, runs: Path) -> dict[str, Any]:
    """An arm: four tasks, and the linear stack beside them."""
    return mtm_arms.scored(mtm_arms.arm(size, part, masking, runs, ratio))


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every ratio and masking, on the first part: synthetic animals, or the sessions of the IBL."""
    part = next(iter(mtm_arms.parts_with(size)))
    asked = [(masking, ratio) for ratio in RATIOS[size] for masking in MASKINGS[: 1 if size == "smoke" else None]]
    asked += [] if size == "smoke" else [(masking, None) for masking in WITHOUT]
    return [
        mtm_arms.Job(
            f"{part}/{masking}/{'any' if ratio is None else f'{ratio:g}'}",
            functools.partial(one, size, part, masking, ratio, runs),
        )
        for masking, ratio in asked
    ]


if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
