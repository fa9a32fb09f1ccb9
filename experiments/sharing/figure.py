"""Draws sharing.png and curve.png from results.json; prints the tables of README and what expected.json names.

python experiments/sharing/figure.py
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from neurojax.analysis import scaling
from neurojax.evals.tables import TASK_LABELS
from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import learning_curve, style
from neurojax.scores import intervals

HERE = Path(__file__).parent
FROZEN, FULL, ALONE, STACK = "rows only", "full", "alone", "stack"
COLOURS = {FROZEN: style.BLUE, FULL: style.VERMILION, ALONE: style.GREY, STACK: style.BLACK}
POPULATIONS = {  # (part, common_share) -> words
    ("synthetic", 1.0): "synthetic, all dynamics in common",
    ("synthetic", 0.5): "synthetic, half in common",
    ("synthetic", 0.0): "synthetic, none in common",
    ("mice", None): "mice (Allen)",
    ("steinmetz", None): "mice (Steinmetz)",
}
Scores = dict[str, float]  # session -> bits/spike


def scores_of(results: dict, task: str) -> dict[tuple, Scores]:
    """(population, fraction, arm, animals of the pretraining) -> session -> bits/spike, mean over seeds."""
    found: dict = defaultdict(lambda: defaultdict(list))
    for entry in results["entries"]:
        if not entry["part"].startswith("choose"):
            key = ((entry["part"], entry["common_share"]), entry["fraction"], entry["arm"], entry["animals"])
            found[key][entry["session"]].append(entry["scores"][task])
    return {key: {name: float(np.mean(values)) for name, values in one.items()} for key, one in found.items()}


def differences(ours: Scores | None, theirs: Scores | None) -> list[float]:
    """Ours less theirs in every animal that has both."""
    return [ours[name] - theirs[name] for name in sorted(set(ours or ()) & set(theirs or ()))]


def told(values: list[float], sign: str = "+") -> str:
    """Mean, half of the 95 % interval over animals, and in how many it is above zero."""
    over = intervals.t_interval(values)
    if over is None:
        return "-"
    above = f" ({sum(value > 0 for value in values)} of {len(values)})" if sign else ""
    return f"{over.mean:{sign}.3f} +- {over.ci95[1] - over.mean:.3f}{above}"


def rows(found: dict[tuple, Scores], population: tuple, fraction: float) -> list[list[str]]:
    """A row an arm: its score, and what it is above training alone and above the stack."""
    bars = {name: found.get((population, fraction, name, 0)) for name in (ALONE, STACK)}
    table = []
    for (where, share, arm, number), scores in sorted(found.items(), key=lambda one: (one[0][2], one[0][3])):
        if (where, share) == (population, fraction):
            name = arm + (f", {number} animals" if number > 1 else ", 1 animal" if number else "")
            gains = [told(differences(scores, bars[bar])) if arm != bar else "" for bar in (ALONE, STACK)]
            table.append([name, told(list(scores.values()), ""), *gains])
    return table


def observed(results: dict) -> dict[str, float]:
    """What expected.json names: gains over training alone, and from one animal to all, co-smoothing."""
    found, told_of = scores_of(results, "co_smoothing"), {}
    for population, words in POPULATIONS.items():
        for fraction in sorted({key[1] for key in found if key[0] == population}):
            numbers = sorted({key[3] for key in found if key[:2] == (population, fraction) and key[3]})
            for arm in (FROZEN, FULL):
                of = {number: found.get((population, fraction, arm, number)) for number in numbers}
                bar, name = found.get((population, fraction, ALONE, 0)), f"{words}, {fraction:.0%}: {arm}"
                if numbers and (gain := differences(of[numbers[-1]], bar)):
                    told_of[f"{name}, {numbers[-1]} animals minus alone, bits/spike"] = float(np.mean(gain))
                if len(numbers) > 1 and (gain := differences(of[numbers[-1]], of[numbers[0]])):
                    told_of[f"{name}, {numbers[-1]} minus {numbers[0]} animals, bits/spike"] = float(np.mean(gain))
    return told_of


def curve_of(results: dict, population: tuple, fraction: float, arm: str, task: str):
    """Points of a learning curve over animals of the pretraining: each new animal's gain over its stack."""
    found = scores_of(results, task)
    bar = found.get((population, fraction, STACK, 0))
    sizes, gains = [], []
    for number in sorted({key[3] for key in found if key[:3] == (population, fraction, arm)}):
        one = differences(found[population, fraction, arm, number], bar)
        sizes += [number] * len(one)
        gains += one
    return scaling.points(sizes, gains) if len(set(sizes)) > 2 else None  # a curve needs three


def forecasts(curve) -> list[tuple[float, float, scaling.Forecast]]:
    """(animals, observed mean, forecast) of the larger half of the sizes, from the smaller half.

    With fewer than five sizes in the smaller half forms cannot be compared: the logarithm alone, two numbers.
    """
    sizes = np.unique(curve.sizes)
    if len(sizes) < 4:
        return []
    if (len(sizes) + 1) // 2 >= 5:
        return scaling.check(curve)
    seen, unseen = scaling.split(curve, len(sizes) - max(3, len(sizes) // 2))
    return [
        (float(size), float(unseen.scores[unseen.sizes == size].mean()), scaling.forecast(seen, size, ("log_linear",)))
        for size in np.unique(unseen.sizes).tolist()
    ]


def draw(results: dict, task: str) -> bytes | None:
    """A panel a population and share of the new animal's trials: gains over the stack against animals."""
    found = scores_of(results, task)
    known = [one for one in POPULATIONS if any(key[0] == one for key in found)]
    shown = [(one, fraction) for one in known for fraction in sorted({key[1] for key in found if key[0] == one})]
    if not shown:
        return None
    num_rows = -(-len(shown) // 3)
    figure, panels = style.new_figure(10.8, 2.8 * num_rows + 0.4, num_rows, min(3, len(shown)))
    for panel in panels.flat[len(shown) :]:
        panel.axis("off")
    for panel, (population, fraction) in zip(panels.flat, shown, strict=False):
        draw_panel(panel, found, population, fraction)
        words = f"{POPULATIONS[population]}\n{fraction:.0%} of the new animal's trials"
        style.finish(panel, "animals of the pretraining", "bits/spike over the stack", words)
    panels[0, 0].legend(fontsize=7)
    title = f"{TASK_LABELS[task]}\nbars and band: 95 % intervals over new animals"
    figure.suptitle(title, fontsize=9)
    return style.png_bytes(figure)


def draw_panel(panel, found: dict[tuple, Scores], population: tuple, fraction: float) -> None:
    """Gains over the stack of a new animal alone, as a band, and of either arm after so many others."""
    bar = found.get((population, fraction, STACK, 0))
    alone = intervals.t_interval(differences(found.get((population, fraction, ALONE, 0)), bar))
    panel.axhline(0, color=style.BLACK, linewidth=0.8, label="stack")
    if alone is not None:
        panel.axhspan(*alone.ci95, color=style.PALE, alpha=0.6, linewidth=0)
        panel.axhline(alone.mean, color=COLOURS[ALONE], linewidth=1.2, label="alone")
    for arm in (FROZEN, FULL):
        sizes = sorted(key[3] for key in found if key[:3] == (population, fraction, arm))
        gains = [intervals.t_interval(differences(found[population, fraction, arm, n], bar)) for n in sizes]
        over = [(n, one) for n, one in zip(sizes, gains, strict=True) if one is not None]
        if over:
            places = [n * (0.96 if arm == FROZEN else 1.04) for n, _ in over]
            half = [one.ci95[1] - one.mean for _, one in over]
            means = [one.mean for _, one in over]
            panel.errorbar(places, means, half, fmt="o-", ms=4, capsize=2, color=COLOURS[arm], label=arm)
    panel.set_xscale("log")
    ticks = sorted({key[3] for key in found if key[:2] == (population, fraction) and key[3]})
    panel.set_xticks(ticks, [str(n) for n in ticks])
    panel.minorticks_off()


if __name__ == "__main__":
    if not (HERE / "results.json").exists():
        raise SystemExit("no results yet; run experiments/sharing/run.py first")
    results = read_json(HERE / "results.json")
    for task, label in TASK_LABELS.items():
        found = scores_of(results, task)
        for population, words in POPULATIONS.items():
            for fraction in sorted({key[1] for key in found if key[0] == population}):
                print(f"\n| {label}: {words}, {fraction:.0%} | bits/spike | - alone | - stack |\n|{'---|' * 4}")
                print("\n".join(f"| {' | '.join(row)} |" for row in rows(found, population, fraction)))
    for population, fraction, arm in sorted({(key[0], key[1], key[2]) for key in found if key[3]}, key=str):
        curve = curve_of(results, population, fraction, arm, "co_smoothing")
        for _, seen, one in forecasts(curve) if curve else ():
            inside = one.low <= seen <= one.high
            words = f"forecast {one.words}; seen {seen:.4g}, {'inside' if inside else 'outside'}"
            print(f"{POPULATIONS[population]}, {fraction:.0%}, {arm}: {words}")
    with style.context():
        if picture := draw(results, "co_smoothing"):
            write_bytes(HERE / "sharing.png", picture)
        curve = curve_of(results, ("mice", None), 1.0, FULL, "co_smoothing")
        if curve is not None and len(np.unique(curve.sizes)) >= 4:
            found = scaling.candidates(curve, ("log_linear",))
            sizes = np.geomspace(1, 10 * curve.sizes.max(), 40).tolist()
            bands = [scaling.forecast_of(found, curve, size) for size in sizes]
            shown = learning_curve.draw(curve, bands, "mice of the pretraining", "bits/spike over the stack")
            write_bytes(HERE / "curve.png", style.png_bytes(shown))
    expected = HERE / "expected.json"
    print("\n".join(beside(observed(results), read_json(expected) if expected.exists() else {})))
