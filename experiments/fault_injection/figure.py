"""What expected.json asks of each fault, from results.json; there is nothing to draw.

python experiments/fault_injection/figure.py
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.files import read_json
from neurojax.report.expected import beside

HERE = Path(__file__).parent


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    kill, stop, disk, peer = (results[part]["rows"] for part in ("kill", "stop", "disk", "peer"))
    mesh, damage, soak, shared = (results[part] for part in ("mesh", "damage", "soak", "processes"))
    losses = np.array([one["losses"][-5:] for one in mesh["rows"].values()])  # of the steps on other devices
    unlike = sum(ours != theirs for ours, theirs in zip(shared["seen"], shared["expected"], strict=True))
    return {
        "kill -9: committed steps lost": sum(one["resumed_from"] < one["newest_at_kill"] for one in kill),
        "kill -9: resumed runs that did not end bit-equal": sum(not one["bit_equal"] for one in kill),
        "SIGTERM, SIGINT: steps until it was saved, at most": max(one["saved"] - one["asked_at"] for one in stop),
        "SIGTERM, SIGINT: runs not bit-equal, or of another exit code than 3": sum(
            one["code"] != 3 or not one["bit_equal"] for one in stop
        ),
        "damage: files damaged without being detected": damage["cases"] - damage["detected"],
        "full disk: steps until the run ended, at most": max(one["ended_at"] - one["filled_at"] for one in disk),
        "full disk: runs not bit-equal after room was made, or of another exit code than 2": sum(
            one["code"] != 2 or not one["bit_equal"] for one in disk
        ),
        "other devices: digests at restore": len({one["restored"] for one in mesh["rows"].values()}),
        "other devices: losses of the next five steps apart": float(np.ptp(losses, axis=0).max()),
        "2, 1, 2 processes: batches that an undisturbed run has not": unlike,
        "a lost process: seconds until the other left, at most": max(one["survivor_s"] for one in peer),
        "a lost process: survivors that left with 0, or checkpoints not whole": sum(
            one["code"] == 0 or not one["whole"] for one in peer
        ),
        "200 saves: MB of resident memory a save": soak["slope_mb_per_save"],
        "200 saves: file handles more than at first": soak["handles_last"] - soak["handles_first"],
    }


if __name__ == "__main__":
    found = observed(read_json(HERE / "results.json"))
    print("\n".join(beside(found, read_json(HERE / "expected.json"))))
