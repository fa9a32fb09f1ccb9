"""Draws experiments/adapt/scores.png from results.jsonl and prints the tables; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.evals.tables import label
from neurojax.report.figures import style

HERE = Path(__file__).parent
ARMS = ("stack", "closed form", "closed form, fine-tuned", "pca", "pca, fine-tuned")
LOWEST = -0.2  # of the axis: a start may lie far below


def read() -> list[dict]:
    """One dict an arm, a session and a share of its trials."""
    return [json.loads(line) for line in (HERE / "results.jsonl").read_text().splitlines()]


def scores(results: list[dict], part: str, fraction: float, arm: str) -> dict[str, dict[str, float]]:
    """Session -> task -> bits/spike."""
    asked = (part, fraction, arm)
    return {e["session"]: e["scores"] for e in results if (e["part"], e.get("fraction"), e.get("arm")) == asked}


def observed(results: list[dict]) -> dict[str, float]:
    """Means over the sessions that both have, of an arm and of its distance to the stack."""
    found = {}
    for part, fraction in sorted({(e["part"], e["fraction"]) for e in results if "fraction" in e}):
        stack = scores(results, part, fraction, "stack")
        for arm in ARMS:
            own = scores(results, part, fraction, arm)
            both = sorted(set(own) & set(stack))
            for task in own[both[0]] if both else ():
                name = f"{part}, {100 * fraction:g} % of the trials: {arm}, {task}"
                found[name] = float(np.mean([own[s][task] for s in both]))
                distance = np.mean([own[s][task] - stack[s][task] for s in both])
                found[f"{name}, above the stack"] = float(distance)
    return found


def table(results: list[dict], part: str, fraction: float) -> str:
    """Means over sessions, a line an arm, as Markdown; the distance to the stack beside them."""
    lines = []
    for arm in ARMS:
        own, stack = (scores(results, part, fraction, name) for name in (arm, "stack"))
        both = sorted(set(own) & set(stack))
        if not both:
            continue
        cells = []
        for task in own[both[0]]:
            mean = np.mean([own[s][task] for s in both])
            distance = np.mean([own[s][task] - stack[s][task] for s in both])
            cells.append(f"{mean:.3f}" + (f" ({distance:+.3f})" if arm != "stack" else ""))
        cpu_s = np.median(
            [e["cpu_s"] for e in results if (e["part"], e.get("fraction"), e.get("arm")) == (part, fraction, arm)]
        )
        lines.append(f"| {arm} | {len(both)} | {' | '.join(cells)} | {cpu_s:.0f} |")
    return "\n".join(lines)


def figure(results: list[dict]):
    """A panel a part and a share: every session a point, the line their mean."""
    panels = sorted({(e["part"], e["fraction"]) for e in results if "fraction" in e}, reverse=True)
    drawn, axes = style.new_figure(3.6 * len(panels), 3.2, 1, len(panels))
    for axis, (part, fraction) in zip(axes[0], panels, strict=True):
        for number, arm in enumerate(ARMS):
            own = scores(results, part, fraction, arm)
            for place, task in enumerate(next(iter(own.values()), ())):
                found = np.maximum([one[task] for one in own.values()], LOWEST)
                spot = place + 0.15 * (number - 2)
                axis.plot(np.full(len(found), spot), found, "o", ms=3, color=f"C{number}",
                          label=arm if place == 0 else None)  # fmt: skip
                axis.hlines(np.mean(found), spot - 0.06, spot + 0.06, color=f"C{number}")
                axis.set_xticks(range(4), [label(name) for name in next(iter(own.values()))], rotation=20)
        style.finish(axis, title=f"{part}, {100 * fraction:g} % of the trials")
    axes[0][0].set_ylabel("bits/spike, test trials")
    axes[0][-1].legend(fontsize=6)
    return drawn


if __name__ == "__main__":
    results = read()
    for part, fraction in sorted({(e["part"], e["fraction"]) for e in results if "fraction" in e}):
        print(f"{part}, {100 * fraction:g} % of the trials\n{table(results, part, fraction)}")
    with style.context():
        (HERE / "scores.png").write_bytes(style.png_bytes(figure(results)))
