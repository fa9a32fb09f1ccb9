"""Draws the two curves from results.json and prints how far they lie apart.

python experiments/whole_curve/figure.py
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
TASKS = {"co_smoothing": "Co-smoothing", "forward": "Forward prediction"}
KINDS = {"cosine": "a run for each length (cosine)", "branch": "branches of one run at a constant rate"}


def curve(results: Mapping[str, Any], kind: str, task: str, split: str = "test") -> dict[int, float]:
    """Length in steps -> bits/spike."""
    named = {name: entry for name, entry in results.items() if name.startswith(f"{kind} ")}
    return {int(name.split()[1]): entry[split][task] for name, entry in named.items()}


def cpu_s(results: Mapping[str, Any], kind: str) -> float:
    """Of all points of a curve: of branches with the run they begin at."""
    spent = sum(entry["cpu_s"] for name, entry in results.items() if name.startswith(f"{kind} "))
    return spent + (results["constant"]["cpu_s"] if kind == "branch" else 0)


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    found = {}
    for task in TASKS:
        own, branches = (curve(results, kind, task) for kind in KINDS)
        apart = {length: branches[length] - own[length] for length in own}
        found |= {
            f"{task}, branches minus own runs, lowest of all lengths, bits/spike": min(apart.values()),
            f"{task}, branches minus own runs, highest of all lengths, bits/spike": max(apart.values()),
        }
    ratio = cpu_s(results, "branch") / cpu_s(results, "cosine")
    return found | {"CPU time of the whole curve / of a run for each length": ratio}


def main() -> None:
    results = read_json(HERE / "results.json")
    print("\n".join(beside(observed(results), read_json(HERE / "expected.json"))))
    for kind, words in KINDS.items():
        print(f"{words}: {cpu_s(results, kind):.0f} CPU s, compilation of every program included")
    with style.context():
        figure, axes = style.new_figure(7.2, 3.0, columns=2)
        for axis, (task, title) in zip(axes[0], TASKS.items(), strict=True):
            for kind, colour, marker in (("cosine", style.GREY, "s"), ("branch", style.MODEL, "o")):
                found = curve(results, kind, task)
                axis.plot(list(found), list(found.values()), marker, color=colour, linestyle="-", label=KINDS[kind])
            axis.set_xscale("log")
            axis.set_xticks(list(found), [str(length) for length in found])
            axis.minorticks_off()
            style.finish(axis, "training steps", "test trials, bits/spike" if task == "co_smoothing" else "", title)
        axes[0, 0].legend(frameon=False, loc="lower right", fontsize=7)
        write_bytes(HERE / "figure.png", style.png_bytes(figure))


if __name__ == "__main__":
    main()
