"""Draws experiments/observed_time/scores.png from results.json; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.evals.tables import label
from neurojax.report.expected import at, beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
ARMS = {"masked": "what was observed", "fewer": "70 % of the trials, whole", "whole": "trials observed whole"}


def values(results: dict, pattern: str, arm: str, task: str) -> list[float]:
    """Bits per spike of each seed; none where the arm has no trial."""
    return [one[task] for one in results[pattern][arm].values() if isinstance(one, dict)]


def figure(results: dict):
    """Scores of every seed, a panel a way of losing entries; the line is their mean."""
    tasks = list(results["masked_less"]["probes"]["fewer"])
    drawn, ((left, right),) = style.new_figure(8.0, 3.2, 1, 2, sharey=True)
    for axis, pattern in ((left, "lifetimes"), (right, "probes")):
        for number, (arm, words) in enumerate(ARMS.items()):
            for place, task in enumerate(tasks):
                found = values(results, pattern, arm, task)
                if found:
                    spot = place + 0.25 * (number - 1)
                    axis.plot(np.full(len(found), spot), found, "o", ms=4, color=f"C{number}",
                              label=words if place == 0 else None)  # fmt: skip
                    axis.hlines(np.mean(found), spot - 0.1, spot + 0.1, color=f"C{number}")
        style.finish(axis, title=f"30 % of the entries lost: {pattern}")
        axis.set_xticks(range(len(tasks)), [label(task) for task in tasks])
    left.set_ylabel("bits/spike on observed entries")
    right.legend(title="trained on")
    return drawn


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "scores.png").write_bytes(style.png_bytes(figure(found)))
    wanted = json.loads((HERE / "expected.json").read_text())
    observed = {name: at(found, one["observed"][1:]) for name, one in wanted.items()}
    print("\n".join(beside(observed, wanted)))
