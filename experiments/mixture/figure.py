"""Draws results.json: the model, the stack and the two together, session by session; prints the tables.

python experiments/mixture/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.evals.tables import TASK_LABELS
from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style
from neurojax.scores import intervals

HERE = Path(__file__).parent
NAMES = {
    "mice": "nine sessions of three mice, 20 ms",
    "mice_in_blocks": "the same, split in blocks of 120 s",
    "held_back": "eight mice held back, 250 ms",
    "monkey_1": "a monkey, first day, 100 ms",
    "monkey_2": "the monkey, second day",
    "made_up": "four made-up animals, 20 ms",
}
SHORT = {
    "mice": "nine sessions",
    "mice_in_blocks": "in blocks",
    "held_back": "mice held back",
    "monkey_1": "monkey, day 1",
    "monkey_2": "monkey, day 2",
    "made_up": "made-up animals",
}
REPORT = ("session2", "session6", "session9", "session11")
SHOWN = {"model": "model", "model_and_stack": "model and stack", "stack": "stack"}


def scores(part: dict, predictor: str, task: str, only=None) -> np.ndarray:
    """Of the sessions that have a score, [S]."""
    values = [s[predictor][task] for key, s in part["sessions"].items() if only is None or key in only]
    return np.array([value for value in values if value is not None], float)


def observed(results: dict) -> dict[str, float]:
    """What expected.json names."""
    found = {}
    for name, part in results.items():
        for task in TASK_LABELS:
            bar = scores(part, "stack", task)
            if len(bar):
                gain = scores(part, "model_and_stack", task).mean() - bar.mean()
                found[f"{name}: {task}, model and stack minus stack, bits/spike"] = float(gain)
    return found


def rows(part: dict, only=None) -> list[list[str]]:
    """A row a predictor, a column a task; then the gains over the stack with intervals over sessions."""
    table = []
    for name, words in SHOWN.items():
        means = [scores(part, name, task, only) for task in TASK_LABELS]
        table.append([words, *(f"{values.mean():.3f}" if len(values) else "-" for values in means)])
    for name in ("model", "model_and_stack"):
        cells, above, tests = [], [], {}
        for task in TASK_LABELS:
            bar = scores(part, "stack", task, only)
            gain = scores(part, name, task, only) - bar
            over = intervals.t_interval(list(gain)) if len(gain) > 1 else None
            half = "" if over is None else f" +- {over.ci95[1] - over.mean:.3f}"
            share = f", {100 * gain.mean() / bar.mean():+.1f} %" if len(gain) and bar.mean() > 0.02 else ""
            cells.append(f"{gain.mean():+.3f}{half}{share}" if len(gain) else "-")
            above.append(f"{int((gain > 0).sum())} of {len(gain)}" if len(gain) else "-")
            tests[task] = intervals.p_value(list(gain)) if len(gain) > 2 else None
        table.append([f"{SHOWN[name]} - stack", *cells])
        table.append(["sessions above", *above])
        adjusted = intervals.holm(tests)
        if any(value is not None for value in tests.values()):
            table.append(["p, Holm", *("-" if adjusted.get(t) is None else f"{adjusted[t]:.2g}" for t in TASK_LABELS)])
    chosen = [session for key, session in part["sessions"].items() if only is None or key in only]
    shares = [share for session in chosen for share in (session["model_shares"] or {}).values()]
    told = f"model's share: median {np.median(shares):.2g}, 0 in {shares.count(0.0)} of {len(shares)}"
    return [*table, [told, "", "", "", ""]]


def draw(results: dict) -> bytes:
    """A panel a task; a dot a session: the gain over the stack of the model, and of the two together."""
    figure, panels = style.new_figure(11.0, 3.8, 1, len(TASK_LABELS))
    parts = [name for name in NAMES if name in results]
    for panel, (task, words) in zip(panels[0], TASK_LABELS.items(), strict=True):
        for place, name in enumerate(parts):
            bar = scores(results[name], "stack", task)
            for offset, (predictor, colour) in enumerate((("model", style.GREY), ("model_and_stack", style.MODEL))):
                gain = scores(results[name], predictor, task) - bar
                x = place + 0.24 * (offset - 0.5)
                panel.scatter(np.full(len(gain), x), gain, s=12, color=colour, alpha=0.7, linewidths=0)
                if len(gain):
                    panel.plot([x - 0.1, x + 0.1], [gain.mean()] * 2, color=colour, linewidth=2)
        panel.axhline(0, color=style.BLACK, linewidth=0.8)
        words_of = [SHORT[name] for name in parts]
        turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(parts) > 2 else {}
        panel.set_xticks(range(len(parts)), words_of, **turned)
        style.finish(panel, "", "bits/spike over the stack" if task == "co_smoothing" else "", words)
    figure.suptitle("grey: the model alone; blue: model and stack; a dot a session, lines means", fontsize=9)
    return style.png_bytes(figure)


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    heads = ["", *TASK_LABELS.values()]
    for name, part in results.items():
        report = [("report sessions 2, 6, 9, 11", REPORT)] if name == "mice" else []
        for title, only in [(NAMES[name], None), *report]:
            print(f"\n| {title} | {' | '.join(heads[1:])} |\n|{'---|' * len(heads)}")
            print("\n".join(f"| {' | '.join(row)} |" for row in rows(part, only)))
        print(f"\n{part['wall_s'] / 60:.1f} min, commit {part['commit']}")
    write_bytes(HERE / "gains.png", draw(results))
