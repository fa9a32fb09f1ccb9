"""New animals of the mtm_* experiments: trained alone, or after pretraining on one, ten or more others.

Both are trained with the same number of steps on the new animal; the pretraining comes on top, once for all of them.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mtm_arms
import mtm_data

from neurojax.runs.workdir import config_hash
from neurojax.train import run


class Steps(NamedTuple):
    """Steps on a new animal, and of pretraining on a number of sessions."""

    new: int
    pretraining: dict[int, int]


# The paper trains for equal epochs: steps grow with the sessions. So do ours, up to ten sessions.
STEPS = {
    "smoke": Steps(20, {1: 30, 2: 30}),
    "local": Steps(300, {1: 300, 4: 700, 10: 1500, 34: 3000}),
    "paper": Steps(26_000, {1: 26_000, 10: 260_000, 34: 884_000}),
}
ALONE = 0  # sessions of a pretraining that there was none of
MASKINGS = {"smoke": ("mtm",), "local": ("mtm", "temporal"), "paper": ("mtm", "temporal")}


def jobs(numbers: Mapping[str, Sequence[int]], size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every number of pretraining sessions (of a size) and masking, in that order."""
    recordings = "ibl" if size == "paper" else "synthetic"
    return [
        mtm_arms.Job(f"{recordings}/{masking}/{number}", functools.partial(trained_on, size, masking, number, runs))
        for number in numbers[size]
        for masking in MASKINGS[size]
    ]


def trained_on(size: str, masking: str, number: int, runs: Path) -> dict[str, Any]:
    """The entry of results.json of a masking and a number of pretraining sessions: every new animal's scores."""
    steps, behaviours = STEPS[size], mtm_data.IBL_TARGETS if size == "paper" else mtm_data.SYNTHETIC_TARGETS
    folder, facts = runs / "held_out" / f"{masking}_{number}", {}
    if number != ALONE:
        root = mtm_data.pretraining(size, number, runs)
        base, facts = _pretrained(size, masking, root, steps.pretraining[number], folder)
    sessions, cpu_s = {}, 0.0
    for name, root in mtm_data.new_animals(size, runs).items():
        if number == ALONE:
            config = _config(size, masking, root, steps.new)
            found = mtm_arms.trained(config, folder / name)
        else:
            found = mtm_arms.fine_tuned(base, root, steps.new, folder / name, size)
        entry = mtm_arms.scored(found, behaviours)
        sessions |= entry.pop("sessions")
        cpu_s += entry["cpu_s"]
    return {**facts, "num_pretraining": number, "steps": steps.new, "cpu_s": round(cpu_s, 1), "sessions": sessions}


def _config(size: str, masking: str, root: Path, num_steps: int) -> dict[str, Any]:
    argument = "size=paper,preset=faithful" if size == "paper" else "size=tiny"
    fields = [f"objective.schemes={mtm_arms.MASKINGS[masking]}"]
    fields += [] if size == "paper" else ["data.bucket_units=64"]
    return mtm_arms.config_of(argument, "ndt", root, num_steps, fields)


def _pretrained(size: str, masking: str, root: Path, num_steps: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of a finished pretraining, which is not scored, and what an entry says of it."""
    config, begun = _config(size, masking, root, num_steps), time.process_time()
    run.train(config, folder / "pretraining")
    cpu_s = round(time.process_time() - begun, 1)
    facts = {"config_hash": config_hash(config), "pretraining_steps": num_steps, "pretraining_cpu_s": cpu_s}
    return folder / "pretraining", facts
