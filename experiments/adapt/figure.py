"""Draws scores.png and passes.png from results.jsonl and prints the tables; needs no accelerator."""

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


def compared(results: list[dict]) -> list[tuple[str, float]]:
    """(part, share of the trials) of all comparisons of arms."""
    return sorted({(e["part"], e["fraction"]) for e in results if "arm" in e})


def scores(results: list[dict], part: str, fraction: float, arm: str) -> dict[str, dict[str, float]]:
    """Session -> task -> bits/spike. The stack knows no pretraining, so that the long one has the same."""
    asked = (part.removesuffix("_long") if arm == "stack" else part, fraction, arm)
    return {e["session"]: e["scores"] for e in results if (e["part"], e.get("fraction"), e.get("arm")) == asked}


def observed(results: list[dict]) -> dict[str, float]:
    """Means over the sessions that both have, of an arm and of its distance to the stack."""
    found = {}
    for part, fraction in compared(results):
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
        of_part = part.removesuffix("_long") if arm == "stack" else part
        cpu_s = np.median(
            [e["cpu_s"] for e in results if (e["part"], e.get("fraction"), e.get("arm")) == (of_part, fraction, arm)]
        )
        lines.append(f"| {arm} | {len(both)} | {' | '.join(cells)} | {cpu_s:.0f} |")
    return "\n".join(lines)


def by_passes(results: list[dict]) -> dict[tuple[float, str], dict[int, float]]:
    """(share of the trials, start) -> passes -> validation score, mean of animals and tasks."""
    found: dict[tuple[float, str], dict[int, list[float]]] = {}
    for entry in results:
        if entry["part"] == "passes":
            own = found.setdefault((entry["fraction"], entry.get("start", "closed_form")), {})
            own.setdefault(entry["passes"], []).extend(entry["scores"].values())
    return {key: {n: float(np.mean(own[n])) for n in sorted(own)} for key, own in sorted(found.items())}


def draw(results: list[dict], part: str = "synthetic"):
    """A panel a task: each arm against the share of the trials, mean of the animals and each of them."""
    fractions = [fraction for one, fraction in compared(results) if one == part]
    tasks = list(next(iter(scores(results, part, fractions[-1], "stack").values())))
    drawn, panels = style.new_figure(12.0, 3.4, 1, len(tasks))
    for panel, task in zip(panels[0], tasks, strict=True):
        for number, arm in enumerate(ARMS):
            points = [[one[task] for one in scores(results, part, f, arm).values()] for f in fractions]
            shown = [(f, values) for f, values in zip(fractions, points, strict=True) if values]
            colour = style.BLACK if arm == "stack" else f"C{number - 1}"
            at, means = [f for f, _ in shown], [max(np.mean(values), LOWEST) for _, values in shown]
            panel.plot(at, means, "--" if arm == "stack" else "o-", ms=4, color=colour, label=arm)
            for fraction, values in shown:
                spots = np.full(len(values), fraction)
                panel.plot(spots, np.maximum(values, LOWEST), ".", ms=3, color=colour, alpha=0.4)
        panel.set_xscale("log")
        panel.set_xticks(fractions, [f"{100 * fraction:g}" for fraction in fractions])
        panel.minorticks_off()
        title = label(task)
        style.finish(panel, "share of the trials, %", "bits/spike" if task == tasks[0] else "", title)
    panels[0][0].legend(fontsize=6)
    return drawn


def draw_passes(results: list[dict]):
    """Validation score of fine-tuning against its length."""
    drawn, ((panel,),) = style.new_figure(4.2, 3.2)
    for number, ((fraction, start), own) in enumerate(by_passes(results).items()):
        words = f"{100 * fraction:g} % of the trials, from {start.replace('_', ' ')}"
        places = [max(one, 6) for one in own]  # no pass at all stands at the left edge
        panel.plot(places, list(own.values()), "o-" if len(own) > 1 else "x", color=f"C{number}", label=words)
    panel.set_xscale("log")
    panel.set_xticks([6, 12, 25, 50, 100, 200, 400], ["0", "12", "25", "50", "100", "200", "400"])
    panel.minorticks_off()
    panel.legend(fontsize=6)
    style.finish(panel, "passes over the trials", "bits/spike, validation", "length of fine-tuning")
    return drawn


if __name__ == "__main__":
    results = read()
    for part, fraction in compared(results):
        print(f"{part}, {100 * fraction:g} % of the trials\n{table(results, part, fraction)}")
    for (fraction, start), own in by_passes(results).items():
        cells = " | ".join(f"{number}: {value:.3f}" for number, value in own.items())
        print(f"passes, {100 * fraction:g} % of the trials, from {start}: {cells}")
    with style.context():
        (HERE / "scores.png").write_bytes(style.png_bytes(draw(results)))
        (HERE / "passes.png").write_bytes(style.png_bytes(draw_passes(results)))
