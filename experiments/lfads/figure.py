"""Draws experiments/lfads/truth.png from results.json and prints the README's tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
KINDS = ("lorenz", "chaotic", "pulses", "integrator")
PATHS = ("means", "mean of samples")
ROWS = ("oracle", "observer", "lfads", "pca", "smoothing")
LOOKS = {"oracle": style.BLACK, "observer": style.GREY, "lfads": style.MODEL, "pca": style.ORANGE}
LOOKS |= {"smoothing": style.VERMILION}


def path_of(trained: dict) -> str:
    """What validation trials choose: to follow the posterior's means, or to average over draws of it."""
    return max(PATHS, key=lambda path: trained[f"validation, {path}"]["bps"])


def scores_of(results: dict, name: str) -> dict[str, dict]:
    """Predictor -> scores of a set; without "lfads" where it was not trained."""
    found = {row: results["known"]["sets"][name][row] for row in ROWS if row != "lfads"}
    if name in results:
        found["lfads"] = results[name][f"test, {path_of(results[name])}"]
    return found


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    found = {}
    for kind in KINDS:
        name = f"{kind}-low"
        if name not in results:
            continue
        scores = scores_of(results, name)
        model, floors = scores["lfads"], (scores["smoothing"], scores["pca"])
        found[f"{kind}: rate R2"] = model["rate_r2"]
        found[f"{kind}: held-out bits/spike over the oracle's"] = model["bps"] / scores["oracle"]["bps"]
        for measure in ("rate_r2", "bps"):
            found[f"{kind}: {measure} over the better floor"] = model[measure] - max(one[measure] for one in floors)
        if "input_r" in model:
            found[f"{kind}: |r| of inferred and true input"] = model["input_r"]
        if kind == "integrator":
            found["integrator: held-out nats over the oracle's"] = model["nats"] / scores["oracle"]["nats"]
    return {name: round(float(value), 4) for name, value in found.items()}


def table(results: dict) -> list[str]:
    """Lines of the README's table: a row a set; "-" where LFADS was not trained."""
    rows = ROWS[1:]  # the oracle is 1
    heads = [f"R2, {row}" for row in rows] + [f"bits/spike, {row}" for row in rows]
    heads = ["set", *heads, "input r, observer", "input r, lfads"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in results["known"]["sets"]:
        scores = scores_of(results, name)
        oracle = scores["oracle"]["bps"]
        r2, bps = ([scores.get(row, {}).get(key) for row in rows] for key in ("rate_r2", "bps"))
        share = [None if value is None else value / oracle for value in bps]
        r = [scores.get(row, {}).get("input_r") for row in ("observer", "lfads")]
        cells = ["-" if value is None else f"{value:.2f}" for value in (*r2, *share, *r)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def picture(results: dict) -> style.Figure:
    """True and inferred rates of a test trial, inferred inputs below, scores beside them."""
    kinds = [kind for kind in KINDS if f"{kind}-low" in results]
    figure, axes = style.new_figure(3.4 * len(kinds), 7.5, 3, len(kinds))
    for column, kind in enumerate(kinds):
        name = f"{kind}-low"
        example = results[name]["example"]
        at = (np.arange(len(example["true_hz"][0])) + 0.5) * example["bin_size_s"]
        rates(axes[0, column], at, example, kind)
        inputs(axes[1, column], at, example)
        bars(axes[2, column], scores_of(results, name))
    return figure


def rates(axes: style.Axes, at: np.ndarray, example: dict, kind: str) -> None:
    """Rates of some units, one above the other; ticks are spikes."""
    true, inferred = (np.asarray(example[name]) for name in ("true_hz", "inferred_hz"))
    step = 1.1 * true.max()
    for row, counts in enumerate(example["counts"]):
        axes.plot(at, true[row] + row * step, color=style.BLACK, linewidth=1.2, label="true" if not row else None)
        axes.plot(at, inferred[row] + row * step, color=style.MODEL, linewidth=1.2, label="LFADS" if not row else None)
        fired = at[np.asarray(counts) > 0]
        axes.plot(fired, np.full(len(fired), row * step - 0.06 * step), "|", color=style.GREY, markersize=3)
    axes.set_yticks([0, round(true.max())])
    axes.set_ylim(-0.15 * step, (len(true) + 0.7) * step)
    axes.legend(loc="upper right", ncols=2, fontsize="x-small")
    style.finish(axes, "time (s)", "rate of six units (Hz)", f"{kind}: a test trial")


def inputs(axes: style.Axes, at: np.ndarray, example: dict) -> None:
    """True and inferred input."""
    if "true_input" not in example:
        style.say(axes, "nothing drives this network").set_axis_off()
        return
    axes.plot(at, example["true_input"], color=style.BLACK, linewidth=1.2, label="true")
    axes.plot(at, example["inferred_input"], color=style.MODEL, linewidth=1.2, label="LFADS, on a line")
    axes.legend(loc="upper right", ncols=2, fontsize="x-small")
    style.finish(axes, "time (s)", "input", "Inferred input")


def bars(axes: style.Axes, scores: dict) -> None:
    """Rate R2 and share of the oracle's bits/spike of every predictor."""
    names = [row for row in ROWS if row in scores]
    for number, name in enumerate(names):
        values = [max(scores[name]["rate_r2"], 0), scores[name]["bps"] / scores["oracle"]["bps"]]
        axes.bar(np.arange(2) + 0.16 * (number - 2), values, 0.15, color=LOOKS[name], label=name)
    axes.set_xticks([0, 1], ["rate R2", "bits/spike / oracle"])
    axes.set_ylim(0, 1.35)
    axes.axhline(0.85, 0.02, 0.45, color=style.GREY, linestyle=":", linewidth=1)
    axes.axhline(0.80, 0.55, 0.98, color=style.GREY, linestyle=":", linewidth=1)
    axes.legend(loc="upper right", ncols=3, fontsize="x-small")
    style.finish(axes, "", "share (below 0 drawn as 0)", "Dotted: the goal")


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "truth.png").write_bytes(style.png_bytes(picture(found)))
    print("\n".join(table(found)))
    print("\n".join(beside(observed(found), json.loads((HERE / "expected.json").read_text()))))
