"""Prints the final table from final.jsonl and final/*.npz, and draws units.png and curves.png.

    python experiments/recipe/final_table.py

Differences are paired: the same test trials are drawn with replacement within each session for both methods, seeds
of a preset are averaged, then sessions. A figure or row whose runs are not there yet is left out and named.
"""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from final import BASELINES, CURVE_TASKS, FRACTIONS, REPORT, SCORED, SESSIONS, STEPS, SUMS

HERE = Path(__file__).parent
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
SINGLE = dict(co_smoothing="only_neuron", forward="only_causal")
SINGLE |= dict(inter_region="only_inter_region", intra_region="only_intra_region")
DRAWS = 4000
RATE_EDGES_HZ = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, np.inf)
CURVES = (("third", "MtM", "#0072B2"), ("average", "ridge + GLM", "#D55E00"), ("ridge", "ridge", "#E69F00"))
Sums = dict[str, np.ndarray]


def load() -> dict[str, list[Sums]]:
    """Method -> one dict a seed, "SESSION/TASK/NAME" -> array; see final.test_sums.

    Baselines fitted on a share of the trials are named "average trials0.25".
    """
    methods: dict[str, list[Sums]] = {}
    for path in sorted(SUMS.glob("*.npz")):
        with np.load(path) as stored:
            arrays = dict(stored)
        if not path.stem.startswith("baselines"):
            methods.setdefault(path.stem.partition("-seed")[0], []).append(arrays)
            continue
        for name in BASELINES:
            keys = [key for key in arrays if key.split("/")[1] == name]
            own_name = name + path.stem.removeprefix("baselines").replace("_", " ")
            methods[own_name] = [{key.replace(f"/{name}/", "/", 1): arrays[key] for key in keys}]
    return methods


def excess(seeds: list[Sums], session: str, task: str, of: str = "trial") -> np.ndarray | None:
    """Nats over the test mean of each trial or unit, mean over seeds; None where the method cannot do the task."""
    key = f"{session}/{task}/{of}_model"
    return np.mean([sums[key] for sums in seeds], 0) if key in seeds[0] else None


def spikes(seeds: list[Sums], session: str, task: str, of: str = "trial") -> np.ndarray:
    """Scored spikes of each trial or unit."""
    return seeds[0][f"{session}/{task}/{of}_spikes"].astype(float)


def score(seeds: list[Sums], task: str, sessions=REPORT) -> float:
    """Pooled bits/spike over the test mean, mean over sessions; NaN where the method cannot do the task."""
    found = [excess(seeds, session, task) for session in sessions]
    if any(values is None for values in found):
        return float("nan")
    pairs = zip(found, sessions, strict=True)
    return float(np.mean([-v.sum() / spikes(seeds, session, task).sum() for v, session in pairs])) / np.log(2)


def difference(ours: list[Sums], theirs: list[Sums], task: str, sessions=REPORT):
    """(mean over sessions, 95 % interval, session -> difference), pooled bits/spike."""
    single, drawn = {}, np.zeros(DRAWS)
    for number, session in enumerate(sessions):
        gain = (excess(theirs, session, task) - excess(ours, session, task)) / np.log(2)
        weight = spikes(ours, session, task)
        if not np.array_equal(weight, spikes(theirs, session, task)):
            raise SystemExit(f"two methods were scored on other entries of {session}, {task}")
        draws = np.random.default_rng(number).multinomial(len(gain), np.full(len(gain), 1 / len(gain)), DRAWS)
        single[session] = float(gain.sum() / weight.sum())
        drawn += (draws @ gain) / np.maximum(draws @ weight, 1) / len(sessions)
    return float(np.mean(list(single.values()))), tuple(np.percentile(drawn, [2.5, 97.5])), single


def best_baseline(methods: dict[str, list[Sums]], task: str) -> str:
    """The baseline with the highest mean test score over the report sessions, which favours the baselines."""
    scores = {name: score(methods[name], task) for name in BASELINES if name in methods}
    return max((name for name in scores if np.isfinite(scores[name])), key=scores.get)


def markdown(methods: dict[str, list[Sums]]) -> list[str]:
    """Scores, then differences of `improved` with intervals and signs."""
    lines = []
    for title, sessions in (
        ("mean of 4 report sessions", REPORT),
        *((name, (name,)) for name in SCORED[len(REPORT) :]),
    ):
        lines += [
            f"| {title} | seeds | co-smoothing | forward | inter-region | intra-region |",
            "|---" * 6 + "|",
        ]
        whole = {n: s for n, s in methods.items() if all(f"{session}/units/rate_hz" in s[0] for session in sessions)}
        for name, seeds in whole.items():
            values = " | ".join("-" if np.isnan(v := score(seeds, task, sessions)) else f"{v:.3f}" for task in TASKS)
            lines.append(f"| {name} | {len(seeds)} | {values} |")
        lines.append("")
    if "improved" not in methods:
        return [*lines, "no run of `improved` yet"]
    lines += ["| difference | task | bits/spike | 95 % interval | sessions above |", "|---" * 5 + "|"]
    for task in TASKS:
        others = ["faithful", "average"]
        if "average" in methods and (best := best_baseline(methods, task)) not in others:
            others.append(best)
        pairs = [("improved", other) for other in others]
        pairs += [("improved_ensemble", "improved"), ("improved_ensemble", "average"), ("third", SINGLE[task])]
        for ours, other in (pair for pair in pairs if set(pair) <= set(methods)):
            mean, (low, high), single = difference(methods[ours], methods[other], task)
            signs = ", ".join(f"{session.removeprefix('session')}: {value:+.3f}" for session, value in single.items())
            above = sum(value > 0 for value in single.values())
            lines.append(
                f"| {ours} - {other} | {task} | {mean:+.3f} | {low:+.3f} to {high:+.3f} | {above} of 4 ({signs}) |"
            )
    missing = [name for name in ("faithful", *SINGLE.values(), "average") if name not in methods]
    return [*lines, *([f"\nnot run yet: {', '.join(missing)}"] if missing else [])]


def draw_units(methods: dict[str, list[Sums]], path: Path) -> None:
    """Gain of `improved` over the average of ridge and GLM by firing rate and by region, report sessions."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", width_ratios=(1, 1.6))
    rate, region, gain, weight = [], [], [], []
    for session in REPORT:
        theirs, ours = (excess(methods[name], session, "co_smoothing", "unit") for name in ("average", "improved"))
        gain.append((theirs - ours) / np.log(2))
        weight.append(spikes(methods["improved"], session, "co_smoothing", "unit"))
        rate.append(methods["improved"][0][f"{session}/units/rate_hz"])
        region.append(methods["improved"][0][f"{session}/units/region"])
    rate, region, gain, weight = map(np.concatenate, (rate, region, gain, weight))
    group = np.digitize(rate, RATE_EDGES_HZ) - 1
    names = [f"{a:g}-{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in itertools.pairwise(RATE_EDGES_HZ)]
    _intervals(axes[0], names, [group == number for number in range(len(names))], gain, weight)
    axes[0].set_xlabel("train rate, Hz")
    axes[0].set_ylabel("gain over ridge + GLM,\nbits/spike, co-smoothing")
    labels = [name for name in np.unique(region) if weight[region == name].sum() > 500]
    _intervals(axes[1], labels, [region == name for name in labels], gain, weight)
    axes[1].tick_params(axis="x", rotation=90, labelsize=7)
    axes[1].set_xlabel("region (over 500 test spikes)")
    figure.savefig(path, dpi=130)


def draw_curves(methods: dict[str, list[Sums]], path: Path) -> None:
    """Score against the share of training trials and the number of sessions, report sessions."""
    figure, axes = plt.subplots(2, len(CURVE_TASKS), figsize=(8, 5), layout="constrained", sharex="row")
    merged = {key: array for session in REPORT for key, array in methods[f"alone_{session}"][0].items()}
    batch, third = 32, STEPS // 3  # trials of a step
    by_sessions = [
        (1, [merged], third // len(SESSIONS) * 2 * batch),
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


def _intervals(axis, names, groups, gain, weight) -> None:
    """Pooled gain of each group of units with a 95 % bootstrap interval over units."""
    for place, members in enumerate(groups):
        g, w = gain[members], weight[members]
        if not w.sum():
            continue
        draws = np.random.default_rng(place).multinomial(len(g), np.full(len(g), 1 / len(g)), DRAWS)
        low, high = np.percentile((draws @ g) / np.maximum(draws @ w, 1), [2.5, 97.5])
        axis.plot([place, place], [low, high], color="#0072B2")
        axis.plot(place, g.sum() / w.sum(), "o", color="#0072B2")
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_xticks(range(len(names)), names)


if __name__ == "__main__":
    found = load()
    print("\n".join(markdown(found)))
    if {"improved", "average"} <= set(found):
        draw_units(found, HERE / "units.png")
    names = {f"alone_{session}" for session in REPORT} | {"sessions4", *(name for name, _, _ in CURVES)}
    names |= {_at_fraction(name, fraction) for name, _, _ in CURVES for fraction in FRACTIONS}
    if names <= set(found):
        draw_curves(found, HERE / "curves.png")
    else:
        print(f"\nno curves yet: {', '.join(sorted(names - set(found)))}")
