"""Draws effects.png and prints the table of arms from results.jsonl.

    python experiments/recipe/figure.py

An effect is an arm minus its nearest ancestor of as many steps in arms.txt, paired: the same validation
trials are drawn with replacement within each session, the differences of sessions are averaged.
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
DRAWS = 2000


def parents() -> dict[str, str]:
    """Arm -> the arm it changes."""
    heads = [line.partition("#")[0].partition(":")[0] for line in (HERE / "arms.txt").read_text().splitlines()]
    return {name.strip(): parent.strip() for name, _, parent in (head.partition("<") for head in heads) if name.strip()}


def difference(arm: dict, other: dict, task: str) -> tuple[float, float]:
    """(mean over sessions, bootstrap standard error) of arm minus other, pooled bits/spike."""
    means, draws = [], np.zeros(DRAWS)
    for number, session in enumerate(arm["sessions"]):
        ours, theirs = arm["sessions"][session][task], other["sessions"][session][task]
        if ours["spikes"] != theirs["spikes"]:
            raise SystemExit(f"{arm['arm']} and {other['arm']} were scored on other entries of {session}")
        gain = (np.subtract(ours["gain_nats"], theirs["gain_nats"])) / np.log(2)
        spikes = np.asarray(ours["spikes"], float)
        weight = np.random.default_rng(number).multinomial(len(gain), np.full(len(gain), 1 / len(gain)), DRAWS)
        means.append(gain.sum() / spikes.sum())
        draws += (weight @ gain) / np.maximum(weight @ spikes, 1) / len(arm["sessions"])
    return float(np.mean(means)), float(draws.std())


def against_average(results: dict[str, dict]) -> list[str]:
    """Arms of the longest training beside the average of ridge and GLM in validation_baselines.json, same trials."""
    longest = max(entry["steps"] for entry in results.values())
    average = {"arm": "average", "sessions": json.loads((HERE / "validation_baselines.json").read_text())["average"]}
    title = f"{longest} steps, minus the average of ridge and GLM"
    lines = [f"\n| {title} | co-smoothing | forward | inter-region | intra-region |", "|---|---|---|---|---|"]
    for name, entry in results.items():
        if entry["steps"] == longest:
            found = (difference(entry, average, task) for task in TASKS)
            lines.append(f"| {name} | " + " | ".join(f"{value:+.3f} ±{se:.3f}" for value, se in found) + " |")
    return lines


def main() -> None:
    """Prints a Markdown table, draws the effects."""
    results = {entry["arm"]: entry for entry in map(json.loads, (HERE / "results.jsonl").read_text().splitlines())}
    parent_of, effects = parents(), {}
    print("| arm | steps | co-smoothing | forward | inter-region | intra-region | arm minus ancestor |")
    print("|---|---|---|---|---|---|---|")
    for name, entry in results.items():
        parent = parent_of.get(name, "")
        while parent and not (parent in results and results[parent]["steps"] == entry["steps"]):
            parent = parent_of[parent]
        if parent:
            effects[f"{name} - {parent}"] = [difference(entry, results[parent], task) for task in TASKS]
        found = effects.get(f"{name} - {parent}", ())
        against = f"{parent}: " + ", ".join(f"{value:+.3f} ±{se:.3f}" for value, se in found) if found else ""
        scores = " | ".join(f"{entry['mean'][task]:.3f}" for task in TASKS)
        print(f"| {name} | {entry['steps']} | {scores} | {against} |")
    print("\n".join(against_average(results)))
    if not effects:
        return
    figure, axes = plt.subplots(1, 4, figsize=(10, 0.6 + 0.45 * len(effects)), sharey=True, layout="constrained")
    for axis, task, number in zip(axes, TASKS, range(4), strict=True):
        values = np.asarray([effect[number] for effect in effects.values()])
        places = np.arange(len(effects))[::-1]
        axis.errorbar(values[:, 0], places, xerr=1.96 * values[:, 1], fmt="o", color="#0072B2", capsize=2)
        axis.axvline(0, color="0.6", linewidth=0.8)
        axis.set_title(task.replace("_", "-"), fontsize=9)
        axis.set_xlabel("bits/spike, pooled", fontsize=8)
        axis.locator_params(axis="x", nbins=4)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(places, effects, fontsize=8)
    figure.savefig(HERE / "effects.png", dpi=130)


if __name__ == "__main__":
    main()
