"""Draws bar.png from results.jsonl and prints the tables of README and what expected.json asks for.

python experiments/yardstick/figure.py
"""

import json
from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style
from neurojax.scores import intervals

HERE = Path(__file__).parent
TASKS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "inter_region": "inter-region",
    "intra_region": "intra-region",
}
SHOWN = ("train_mean", "psth", "drift", "history", "population_coupling", "autoregression", "ridge")
SHOWN += ("factor_analysis", "reduced_rank", "poisson_glm", "average", "stack", "stack_and_drift", "same_bin_ridge")
DRAWN = {"drift": "#999999", "same_bin_ridge": "#009E73", "ridge": "#E69F00", "stack": "#0072B2"}
REPORT = ("session2", "session6", "session9", "session11")
SAME_RECORDING = {  # sets that hold one recording in several bins, the finest first
    "mice": ("mice, 10 ms", "mice", "mice, 50 ms"),
    "allen": ("allen", "allen, 500 ms"),
    "Chewie, 2013-10-03": ("chewie_2013-10-03_50ms", "chewie_2013-10-03_100ms"),
}


def load() -> list[dict]:
    """One dict a session of a set."""
    return list(map(json.loads, (HERE / "results.jsonl").read_text().splitlines()))


def by_set(results: list[dict]) -> dict[str, dict[str, dict]]:
    """Set -> session -> line."""
    sets: dict[str, dict[str, dict]] = {}
    for line in results:
        sets.setdefault(line["set"], {})[line["session"]] = line
    return sets


def mean(lines: dict[str, dict], method: str, task: str) -> str:
    """Mean over sessions +- half of the 95 % interval over them (t)."""
    values = [
        line["methods"][method][task]
        for line in lines.values()
        if line["methods"].get(method, {}).get(task) is not None
    ]
    if not values:
        return "-"
    found = intervals.t_interval(values)
    return f"{np.mean(values):.3f}" + ("" if found is None else f" +- {found.ci95[1] - found.mean:.3f}")


def markdown(sets: dict[str, dict[str, dict]]) -> str:
    lines = []
    for name, sessions in sets.items():
        animals = len({line["subject"] for line in sessions.values()})
        seconds = [line["cpu_s"] for line in sessions.values()]
        title = f"{name}: {intervals.sessions_and_animals(len(sessions), animals)}"
        lines += [f"{title}, {min(seconds):.0f} to {max(seconds):.0f} CPU s a session", ""]
        lines += [f"| | {' | '.join(TASKS.values())} |", "|---" * 5 + "|"]
        for method in SHOWN:
            lines.append(
                f"| {method.replace('_', ' ')} | " + " | ".join(mean(sessions, method, t) for t in TASKS) + " |"
            )
        if name == "mice":
            report = {key: line for key, line in sessions.items() if key in REPORT}
            lines.append("| stack, report sessions | " + " | ".join(mean(report, "stack", t) for t in TASKS) + " |")
        lines += ["", f"least lead of the stack over the same-bin ridge: {least_lead(sessions):+.3f}", ""]
    lines += ["| the same recording | session | ridge's width, ms | best methods of co-smoothing |", "|---" * 4 + "|"]
    for title, names in SAME_RECORDING.items():
        if not set(names) <= set(sets):
            continue
        for session in sets[names[-1]]:
            known = [sets[name][key] for name in names for key in sets[name] if _same(key, session)]
            widths = " / ".join(f"{1000 * line['chosen']['ridge']['co_smoothing']['width_s']:g}" for line in known)
            lines.append(f"| {title} | {session} | {widths} | {' / '.join(ranking(line) for line in known)} |")
    return "\n".join(lines)


def _same(key: str, session: str) -> bool:
    return key.replace("_50ms", "") == session.replace("_100ms", "") or key == session


def ranking(line: dict) -> str:
    """The four families of linear methods from best to worst, by initials, on co-smoothing."""
    letters = {"ridge": "R", "factor_analysis": "F", "reduced_rank": "L", "poisson_glm": "G"}
    return "".join(letters[m] for m in sorted(letters, key=lambda m: -line["methods"][m]["co_smoothing"]))


def least_lead(sessions: dict[str, dict]) -> float:
    """The smallest lead, over sessions, of the stack over the fifteen-line ridge on co-smoothing."""
    pairs = [line["methods"] for line in sessions.values()]
    return min(methods["stack"]["co_smoothing"] - methods["same_bin_ridge"]["co_smoothing"] for methods in pairs)


def draw_bar(sets: dict[str, dict[str, dict]]) -> bytes:
    """Co-smoothing of each session, a panel a set: the stack, ridge, the fifteen-line ridge and drift."""
    names = [name for name in ("mice", "mice, blocks of 120 s", "allen", "synthetic") if name in sets]
    figure, axes = style.new_figure(10.5, 3.4, 1, len(names))
    for axis, name in zip(axes[0], names, strict=True):
        order = sorted(sets[name], key=lambda key: sets[name][key]["methods"]["stack"]["co_smoothing"])
        for method, colour in DRAWN.items():
            values = [sets[name][key]["methods"][method]["co_smoothing"] for key in order]
            axis.plot(range(len(order)), values, "o", ms=4, color=colour, label=method.replace("_", " "))
        style.finish(axis, xlabel="session, by the stack's score", title=name)
        axis.set_xticks([])
    axes[0][0].set_ylabel("co-smoothing, bits/spike, pooled")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return style.png_bytes(figure)


def observed(results: list[dict]) -> dict[str, float]:
    """The values that expected.json names."""
    sets, found = by_set(results), {}
    for name in ("mice", "allen", "synthetic"):
        found[f"{name}: least lead of a session's stack over its same-bin ridge"] = least_lead(sets[name])
    for name, who, chosen in (("mice", "report sessions", REPORT), ("synthetic", "animals", tuple(sets["synthetic"]))):
        for task in TASKS:
            scores = [sets[name][session]["methods"]["stack"][task] for session in chosen]
            found[f"{name}: stack, mean of the {who}, {task}"] = float(np.mean(scores))
    return found


if __name__ == "__main__":
    lines = load()
    print(markdown(by_set(lines)))
    write_bytes(HERE / "bar.png", draw_bar(by_set(lines)))
    print("\n".join(beside(observed(lines), read_json(HERE / "expected.json"))))
