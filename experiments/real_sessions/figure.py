"""Draws scores.png from results.json and prints the tables of README.

python experiments/real_sessions/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.viz import style

HERE = Path(__file__).parent
TASKS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "inter_region": "inter-region",
    "intra_region": "intra-region",
}
UNSEEN = ("session11", "session2", "session6", "session9")


def table(results: dict) -> dict[str, dict[str, dict[str, float]]]:
    """Method -> session -> task -> pooled bits/spike."""
    methods = {name: model["sessions"] for name, model in results["models"].items()} | results["baselines"]
    return {
        name: {session: {task: block[task]["bps_pooled"] for task in TASKS} for session, block in sessions.items()}
        for name, sessions in methods.items()
    }


def mean(sessions: dict, task: str, only=None) -> float:
    return float(np.mean([block[task] for session, block in sessions.items() if only is None or session in only]))


def markdown(results: dict, expected: dict) -> str:
    """Means over all and over the unseen sessions, then session by session with the reference beside."""
    methods, lines = table(results), []
    for title, only in (("mean of 9 sessions", None), ("mean of the 4 unseen sessions", UNSEEN)):
        lines += [f"| {title} | " + " | ".join(TASKS.values()) + " |", "|---" * 5 + "|"]
        for name, sessions in methods.items():
            lines.append(f"| {name} | " + " | ".join(f"{mean(sessions, task, only):.3f}" for task in TASKS) + " |")
        lines.append("")
    for session in methods["mtm"]:
        lines += [f"| {session} | " + " | ".join(TASKS.values()) + " |", "|---" * 5 + "|"]
        rows = {name: sessions[session] for name, sessions in methods.items()} | expected.get(session, {})
        for name, block in rows.items():
            lines.append(f"| {name} | " + " | ".join(f"{block[task]:.3f}" for task in TASKS) + " |")
        lines.append("")
    return "\n".join(lines)


def draw(results: dict) -> bytes:
    """Co-smoothing and the other tasks session by session, one line a method."""
    methods = table(results)
    order = sorted(methods["mtm"], key=lambda name: int(name.removeprefix("session")))
    figure, axes = style.new_figure(10.5, 3.4, 1, 4)
    names = [name for name in ("mtm", "temporal", "ridge", "psth") if name in methods]
    colours = dict(zip(names, ("#0072B2", "#D55E00", "#E69F00", "#009E73"), strict=False))
    for column, (axis, (task, label)) in enumerate(zip(axes[0], TASKS.items(), strict=True)):
        for name in names:
            values = [methods[name][session][task] for session in order]
            axis.plot(range(len(order)), values, "o-", ms=4, lw=1.2, color=colours[name], label=name)
        axis.axhline(0, color="0.6", lw=0.8)
        axis.set_title(label)
        axis.set_xticks(range(len(order)), [name.removeprefix("session") for name in order])
        axis.set_xlabel("session")
        if not column:
            axis.set_ylabel("bits/spike, pooled")
            axis.legend(frameon=False, fontsize=8)
    return style.png_bytes(figure)


if __name__ == "__main__":
    results, expected = read_json(HERE / "results.json"), read_json(HERE / "expected.json")
    print(markdown(results, {session: expected[session] for session in expected if session.startswith("session")}))
    with style.context():
        write_bytes(HERE / "scores.png", draw(results))
    wins = sum(
        table(results)["mtm"][session]["co_smoothing"] > table(results)["psth"][session]["co_smoothing"]
        for session in table(results)["mtm"]
    )
    print(f"co-smoothing above the PSTH in {wins} of {len(table(results)['mtm'])} sessions (expected at least 8)")
