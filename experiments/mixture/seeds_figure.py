"""Draws seeds.json: seeds, their mean, a student and a quarter of the trials beside the stack; prints the tables.

python experiments/mixture/seeds_figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.evals.tables import TASK_LABELS
from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style
from neurojax.scores import intervals

HERE = Path(__file__).parent
ARMS = {  # words -> (part, predictors of the session's entry, over which scores are averaged, here of four seeds)
    "one model": ("ensemble", ("seed 0", "seed 1", "seed 2", "seed 3")),
    "four together": ("ensemble", ("four together",)),
    "student of the four": ("student", ("seed 0",)),
    "student, half of the target": ("student_half", ("seed 0",)),
    "a quarter of the trials": ("quarter", ("seed 0",)),
}
HOW = {"alone": style.GREY, "with the stack": style.MODEL}


def scores(part: dict, names: tuple[str, ...], how: str, task: str) -> np.ndarray:
    """Of every session, [S]; mean over the predictors named."""
    return np.array([np.mean([session[name][how][task] for name in names]) for session in part.values()])


def stack(part: dict, task: str) -> np.ndarray:
    """Of every session, [S]."""
    return np.array([session["stack"][task] for session in part.values()])


def rows(results: dict) -> list[list[str]]:
    """A line an arm: score, and what it is above the stack with the interval over sessions."""
    table, known = [], {words: one for words, one in ARMS.items() if one[0] in results}
    for part in dict.fromkeys(one[0] for one in known.values()):
        bars = [f"{stack(results[part], task).mean():.3f}" for task in TASK_LABELS]
        table.append([f"stack ({part}, {len(results[part])} sessions)", *bars])
    for words, (part, names) in known.items():
        for how in HOW:
            cells = []
            for task in TASK_LABELS:
                found, bar = scores(results[part], names, how, task), stack(results[part], task)
                over = intervals.t_interval(list(found - bar))
                half = "" if over is None else f" +- {over.ci95[1] - over.mean:.3f}"
                gain = (found - bar).mean()
                above = f"{(found > bar).sum()} of {len(bar)}"
                cells.append(f"{found.mean():.3f}, {gain:+.3f}{half} ({100 * gain / bar.mean():+.1f} %), {above}")
            table.append([f"{words}, {how}", *cells])
    return table


def seeds_apart(results: dict) -> list[str]:
    """Standard deviation over four seeds of the mean over sessions, a number a task."""
    names, cells = ARMS["one model"][1], []
    for task in TASK_LABELS:
        of_seed = [[scores(results["ensemble"], (name,), how, task).mean() for name in names] for how in HOW]
        cells.append(" / ".join(f"{np.std(values, ddof=1):.4f}" for values in of_seed))
    return ["seeds apart (sd), alone / with the stack", *cells]


def draw(results: dict) -> bytes:
    """A panel a task: gain over the stack with its interval over sessions, alone and with the stack."""
    known = {words: one for words, one in ARMS.items() if one[0] in results}
    figure, panels = style.new_figure(11.0, 3.4, 1, len(TASK_LABELS))
    for panel, (task, title) in zip(panels[0], TASK_LABELS.items(), strict=True):
        for offset, (how, colour) in enumerate(HOW.items()):
            for place, (part, names) in enumerate(known.values()):
                gain = scores(results[part], names, how, task) - stack(results[part], task)
                over, x = intervals.t_interval(list(gain)), place + 0.24 * (offset - 0.5)
                panel.scatter(np.full(len(gain), x), gain, s=8, color=colour, alpha=0.4, linewidths=0)
                half = 0.0 if over is None else over.ci95[1] - over.mean
                label = how if place == 0 else None
                panel.errorbar([x], [gain.mean()], [half], fmt="o", ms=5, capsize=3, color=colour, label=label)
        panel.axhline(0, color=style.BLACK, linewidth=0.8)
        panel.set_xticks(range(len(known)), list(known), rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
        style.finish(panel, "", "bits/spike over the stack" if task == "co_smoothing" else "", title)
    panels[0, 0].legend(fontsize=7)
    return style.png_bytes(figure)


if __name__ == "__main__":
    results = read_json(HERE / "seeds.json")
    print(f"| | {' | '.join(TASK_LABELS.values())} |\n|{'---|' * 5}")
    print("\n".join(f"| {' | '.join(row)} |" for row in [*rows(results), seeds_apart(results)]))
    with style.context():
        write_bytes(HERE / "seeds.png", draw(results))
