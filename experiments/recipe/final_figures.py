"""Draws units.png (where the model gains and loses) and curves.png (what trials and sessions bring) from final/*.npz.

    python experiments/recipe/final_figures.py

The yardstick in both is the linear stack, its widths and weights chosen on validation; ridge, tuned alike, beside it.
"""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from final import CURVE_TASKS, FRACTIONS, REPORT, SESSIONS, STEPS
from final_table import DRAWS, Sums, ends_text, excess, load, score, spikes

HERE = Path(__file__).parent
RATE_EDGES_HZ = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, np.inf)
CURVES = (
    ("third", "MtM, third of the budget", "#0072B2"),
    ("stack", "linear stack", "#D55E00"),
    ("ridge", "ridge", "#E69F00"),
)


def draw_units(methods: dict[str, list[Sums]], path: Path) -> None:
    """`improved` minus the linear stack by firing rate and by region, report sessions; prints the former."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", width_ratios=(1, 1.6))
    rate, region, gain, weight = [], [], [], []
    for session in REPORT:
        theirs, ours = (excess(methods[name], session, "co_smoothing", "unit") for name in ("stack", "improved"))
        gain.append((theirs - ours) / np.log(2))
        weight.append(spikes(methods["improved"], session, "co_smoothing", "unit"))
        rate.append(methods["improved"][0][f"{session}/units/rate_hz"])
        region.append(methods["improved"][0][f"{session}/units/region"])
    rate, region, gain, weight = map(np.concatenate, (rate, region, gain, weight))
    group = np.digitize(rate, RATE_EDGES_HZ) - 1
    names = [f"{a:g}-{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in itertools.pairwise(RATE_EDGES_HZ)]
    print("`improved` - stack by train rate, Hz, 95 % over units of these sessions:")
    members = [group == number for number in range(len(names))]
    for name, told in zip(names, _intervals(axes[0], names, members, gain, weight), strict=True):
        print(f"{name}: {told}")
    axes[0].set_xlabel("train rate, Hz")
    axes[0].set_ylabel("improved - linear stack,\nbits/spike, co-smoothing")
    labels = [name for name in np.unique(region) if weight[region == name].sum() > 500]
    _intervals(axes[1], labels, [region == name for name in labels], gain, weight)
    axes[1].tick_params(axis="x", rotation=90, labelsize=7)
    axes[1].set_xlabel("region (over 500 test spikes)")
    figure.savefig(path, dpi=130)


def draw_curves(methods: dict[str, list[Sums]], path: Path) -> None:
    """Score against the share of training trials and the number of sessions, report sessions."""
    figure, axes = plt.subplots(2, len(CURVE_TASKS), figsize=(8, 5), layout="constrained", sharex="row")
    batch, third = 32, STEPS // 3  # trials of a step
    by_sessions = [
        (1, methods["alone"], third // len(SESSIONS) * 2 * batch),
        (len(REPORT), methods["sessions4"], third * batch / len(REPORT)),
        (len(SESSIONS), methods["third"], third * batch / len(SESSIONS)),
        (len(SESSIONS), methods["improved"], STEPS * batch / len(SESSIONS)),
    ]
    for column, task in enumerate(CURVE_TASKS):
        top, bottom = axes[:, column]
        for name, label, colour in CURVES:
            seeds = [methods[name if f == 1 else _at_fraction(name, f)] for f in (*FRACTIONS, 1)]
            top.plot(
                [100 * f for f in (*FRACTIONS, 1)], [score(s, task) for s in seeds], "o-", label=label, color=colour
            )
        for number, seeds, passes in by_sessions:
            value = score(seeds, task)
            bottom.plot(number, value, "o", color=CURVES[0][2])
            right = {"xytext": (6, -3), "textcoords": "offset points", "fontsize": 7}
            bottom.annotate(f"{passes / 1000:.0f}k", (number, value), **right)
        bottom.set_xlim(0, len(SESSIONS) + 1.5)
        for name, _, colour in CURVES[1:]:
            bottom.axhline(score(methods[name], task), color=colour, linestyle="--")
        top.set_title(task.replace("_", "-"), fontsize=9)
        top.set_xlabel("training trials used, %")
        bottom.set_xlabel("sessions trained on;\nnumbers: passes over a session's trials")
    for axis in axes[:, 0]:
        axis.set_ylabel("bits/spike, pooled")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=130)


def _at_fraction(name: str, fraction: float) -> str:
    return f"trials{fraction:g}" if name == "third" else f"{name} trials{fraction:g}"


def _intervals(axis, names, groups, gain, weight) -> list[str]:
    """Draws the pooled gain of each group of units with a 95 % bootstrap interval over units, and says it."""
    told = []
    for place, members in enumerate(groups):
        g, w = gain[members], weight[members]
        if not w.sum():
            told.append("no spikes")
            continue
        draws = np.random.default_rng(place).multinomial(len(g), np.full(len(g), 1 / len(g)), DRAWS)
        low, high = np.percentile((draws @ g) / np.maximum(draws @ w, 1), [2.5, 97.5])
        axis.plot([place, place], [low, high], color="#0072B2")
        axis.plot(place, g.sum() / w.sum(), "o", color="#0072B2")
        told.append(f"{g.sum() / w.sum():+.3f} {ends_text((low, high))}")
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_xticks(range(len(names)), names)
    return told


if __name__ == "__main__":
    found = load()
    if {"improved", "stack"} <= set(found):
        draw_units(found, HERE / "units.png")
    names = {"alone", "sessions4", "improved", *(name for name, _, _ in CURVES)}
    names |= {_at_fraction(name, fraction) for name, _, _ in CURVES for fraction in FRACTIONS}
    if names <= set(found):
        draw_curves(found, HERE / "curves.png")
    else:
        print(f"no curves yet: {', '.join(sorted(names - set(found)))}")
