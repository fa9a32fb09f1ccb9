"""Blocks of results_page.py that set models of spikes at equal parameters and CPU time beside each other."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from neurojax.evals.tables import TASK_LABELS
from results_blocks import (
    BLOCKS_OF_ALLEN,
    BY_TRIAL,
    MISSING,
    TASKS,
    UNKNOWN_TRUTH,
    Block,
    joined,
    over_sessions,
    protocol_of,
    read,
)

TITLES = {
    "synthetic": "Four synthetic animals, 20 ms",
    "steinmetz": "Nine sessions of three mice, 20 ms, sessions 1, 4 and 10 scored",
    "allen": "Eight mice, 250 ms",
    "monkeys": "A monkey, two days, 100 ms",
    "monkeys_passes": "A monkey, two days, 100 ms, at most 100 passes over the trials",
}

SPLITS = {"synthetic": BY_TRIAL, "steinmetz": BY_TRIAL, "allen": BLOCKS_OF_ALLEN}


def zoo() -> Iterator[Block]:
    """A row a model; means of a session over seeds, then over sessions."""
    for part, record in read("model_zoo/results.json").items():
        if part not in TITLES or not record["runs"]:
            continue  # checks on the same animals
        runs = record["runs"]
        names = list(dict.fromkeys(key.partition("/")[0] for key in runs))
        rows = [("stack", cells(runs, names[0], "stack")), *((name, cells(runs, name, "model")) for name in names)]
        seeds = sorted({key.rpartition(" ")[2] for key in runs})
        yield Block(
            f"{TITLES[part]}: models at equal parameters and time",
            f"{len(names)} models of as many shared parameters and as much CPU time, seed {', '.join(seeds)}",
            f"{protocol_of(TASKS)}; split: {SPLITS.get(part, MISSING)}",
            "pooled bits/spike on test trials",
            f"{len(by_session(runs, names[0], 'model', TASKS[0]))} sessions (t)",
            [TASK_LABELS[task] for task in TASKS],
            rows,
            UNKNOWN_TRUTH if part != "synthetic" else MISSING,
            joined(list(runs.values())),
            "model_zoo",
        )


def cells(runs: Mapping[str, Any], name: str, who: str) -> list[str]:
    return [over_sessions(by_session(runs, name, who, task)) for task in TASKS]


def by_session(runs: Mapping[str, Any], name: str, who: str, task: str) -> list[float]:
    """Of each session the mean over seeds."""
    found: dict[str, list[float]] = {}
    for key, run in runs.items():
        if key.partition("/")[0] == name:
            for session, scores in run["sessions"].items():
                if scores[who][task][0] is not None:
                    found.setdefault(session, []).append(scores[who][task][0])
    return [float(np.mean(values)) for values in found.values()]


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {"Models of spikes at equal cost": zoo}
