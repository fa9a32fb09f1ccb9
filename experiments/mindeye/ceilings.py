"""What the best reader reaches on made-up fMRI (data/synthetic/nsd.py), before any model was trained.

python experiments/mindeye/ceilings.py
"""

import dataclasses
from pathlib import Path

import numpy as np

from neurojax.data.synthetic import nsd
from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
PEOPLE, SEED = range(8), 0


def ceilings() -> dict[str, dict[str, float]]:
    """Mean over eight people, and the smallest and largest, of each noise."""
    found = {}
    for noise in nsd.NOISES:
        each = [nsd.ceiling(nsd.NsdSpec(noise=noise), SEED, person) for person in PEOPLE]
        found[noise] = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        tops = [one["image_top1"] for one in each]
        found[noise] |= {"least_image_top1": min(tops), "most_image_top1": max(tops)}
        print(noise, found[noise])
    return found


if __name__ == "__main__":
    record = {"command": "python experiments/mindeye/ceilings.py", **provenance(HERE)}
    write_json(HERE / "ceilings.json", record | {"spec": dataclasses.asdict(nsd.NsdSpec()), "found": ceilings()})
