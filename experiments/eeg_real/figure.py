"""Draws experiments/eeg_real/eeg_real.png from results.json, network.json, eegnet.json; needs no accelerator."""

from __future__ import annotations

import json
from pathlib import Path

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
TASKS = ("ssvep subject1", "ssvep subject4", "N170 subject1, runs", "N170 subject3, sessions", "P300 subject1, runs")
NETWORK, WAVES = "network", ("eegnet", "eegnet_conformer")


def blocks(results: dict) -> dict[str, dict[str, dict]]:
    """Task -> decoder -> scores, the network among them where network.json has it."""
    found = {task: dict(results["ssvep"][task.split()[1]]["decoders"]) for task in TASKS[:2]}
    found |= {task: dict(results[task]["decoders"]) for task in TASKS[2:]}
    path = HERE / "network.json"
    trained = json.loads(path.read_text()) if path.exists() else {}
    path = HERE / "eegnet.json"
    waves = json.loads(path.read_text()) if path.exists() else {}
    for task in TASKS:
        if task in trained:
            found[task][NETWORK] = trained[task]
        found[task] |= {name: waves[name][task] for name in WAVES if task in waves.get(name, {})}
    return found


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    people = results["ssvep"]
    null = people["subject4"]["decoders"]
    return {
        "flicker, subject1, power": people["subject1"]["decoders"]["power"]["auc"],
        "flicker, subject1, power, p of a permutation": people["subject1"]["decoders"]["power"]["permutation_p"],
        "flicker, subject4, power": null["power"]["auc"],
        "flicker, subject4, least p of a permutation": min(one["permutation_p"] for one in null.values()),
        "evoked responses, least best area": min(
            max(one["auc"] for one in results[task]["decoders"].values()) for task in TASKS[2:]
        ),
    }


def draw(results: dict) -> style.Figure:
    """Mean area over the parts held out, with its interval, decoder by decoder."""
    found = blocks(results)
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    colours = style.predictor_colours(["model" if name == NETWORK else name for name in names])
    figure, axes = style.new_figure(8.0, 3.2)
    axes = axes[0, 0]
    for place, name in enumerate(names):
        for number, task in enumerate(TASKS):
            if name not in found[task]:
                continue
            one, at = found[task][name], number + 0.14 * (place - len(names) / 2)
            low, high = one["mean_of_parts_ci95"]
            mean = one["mean_of_parts"]
            look = {"color": colours["model" if name == NETWORK else name], "marker": "o", "markersize": 4}
            first = number == next(n for n, task in enumerate(TASKS) if name in found[task])
            axes.errorbar(at, mean, [[mean - low], [high - mean]], label=name if first else None, **look)
    axes.axhline(0.5, color=style.GREY, linestyle="--", linewidth=0.9)
    axes.set_xticks(range(len(TASKS)), [task.replace(" ", "\n", 1) for task in TASKS], fontsize=7)
    axes.set_ylim(0.3, 1.03)
    axes.legend(fontsize=7, loc="upper right", ncols=2)
    return style.finish(axes, "", "area under the curve", "EEG of a headset, whole runs held out").figure


if __name__ == "__main__":
    content = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "eeg_real.png").write_bytes(style.png_bytes(draw(content)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(content), wanted)))
