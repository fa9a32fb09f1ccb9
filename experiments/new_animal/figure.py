"""Draws curves.png from results.jsonl and prints the tables of README.

python experiments/new_animal/figure.py
"""

from collections import defaultdict

import numpy as np
from common import ARMS, HERE, LINEAR, read_results
from scipy import stats

from neurojax.files import write_bytes
from neurojax.report.figures import style

TASKS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "inter_region": "inter-region",
    "intra_region": "intra-region",
}
TARGETS = {
    "choice": "choice, balanced accuracy",
    "wheel_speed": "wheel speed, R$^2$",
    "contrast_side": "contrast side, balanced accuracy",
    "feedback": "feedback, balanced accuracy",
}
COLOURS = {"single": "#D55E00", "fine-tuned": "#0072B2", "ridge": "#999999", "stack": "#000000"}


def values(entries: list[dict]) -> dict:
    """(part, score, fraction) -> session -> arm -> value; a read-out's value is that from latents."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    for entry in entries:
        for name, value in entry["scores"].items():
            value = value["latents"] if isinstance(value, dict) else value
            if value is not None:
                found[entry["part"], name, entry["fraction"]][entry["session"]][entry["arm"]] = value
    return found


def mean_and_half_width(numbers: list[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval (t over sessions); NaN half width of a single number."""
    if len(numbers) < 2:
        return float(np.mean(numbers)) if numbers else np.nan, np.nan
    half = stats.t.ppf(0.975, len(numbers) - 1) * np.std(numbers, ddof=1) / np.sqrt(len(numbers))
    return float(np.mean(numbers)), float(half)


def paired(sessions: dict, *names: str) -> list[list[float]]:
    """Values of each arm or linear model, in the sessions that have both arms and all that are named."""
    needed = {*ARMS, *names}
    return [[arms[name] for arms in sessions.values() if needed <= set(arms)] for name in names]


def linear_of(found: dict, part: str) -> list[str]:
    """The linear models that a part has values of."""
    return [
        name for name in LINEAR if any(name in arms for key in found if key[0] == part for arms in found[key].values())
    ]


def observed(results: list[dict]) -> dict[str, float]:
    """What expected.json names: what fine-tuning is ahead of with a fifth of the trials, mean over sessions."""
    found, told = values(results), {}
    for part in ("synthetic", "mice"):
        for task, words in TASKS.items():
            for other in ("single", "stack"):
                pairs = paired(found[part, task, 0.2], "fine-tuned", other)
                told[f"{part}, 20 % of the trials: fine-tuned minus {other}, {words}, bits/spike"] = float(
                    np.mean(np.subtract(*pairs))
                )
    return told


def cell(numbers: list[float]) -> str:
    return "{:.3f} +- {:.3f}".format(*mean_and_half_width(numbers)) if numbers else "-"


def difference(sessions: dict, ours: str, theirs: str) -> tuple[str, str]:
    """Cells of a paired difference, with its 95 % interval, and of how many sessions it is above zero in."""
    gains = [one - other for one, other in zip(*paired(sessions, ours, theirs), strict=True)]
    return cell(gains), f"{sum(gain > 0 for gain in gains)} of {len(gains)}" if gains else "-"


def markdown(found: dict, part: str) -> str:
    """One row a score and fraction: both arms and their difference, linear models and what fine-tuned is above them."""
    linear = linear_of(found, part)
    titles = [part, "trials", "sessions", *ARMS, "difference", "better in", *linear]
    titles += [title for name in linear for title in (f"fine-tuned - {name}", "better in")]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name in [*TASKS, *TARGETS]:
        for fraction in sorted({key[2] for key in found if key[:2] == (part, name)}):
            sessions = found[part, name, fraction]
            arms = paired(sessions, *ARMS)
            if not arms[0]:
                continue
            cells = [*map(cell, arms), *difference(sessions, "fine-tuned", "single")]
            cells += [cell(paired(sessions, other)[0]) for other in linear]
            cells += [text for other in linear for text in difference(sessions, "fine-tuned", other)]
            rows.append(f"| {name.replace('_', ' ')} | {fraction:.0%} | {len(arms[0])} | {' | '.join(cells)} |")
    return "\n".join(rows)


def draw(found: dict) -> bytes:
    """One row a part, one panel a score: arms and linear models against the share of trials, 95 % intervals."""
    parts = list(dict.fromkeys(key[0] for key in found))
    names = {part: [n for n in [*TASKS, *TARGETS] if any(key[:2] == (part, n) for key in found)] for part in parts}
    figure, axes = style.new_figure(17.0, 2.9 * len(parts), len(parts), max(map(len, names.values())))
    for row, part in enumerate(parts):
        for column, name in enumerate(names[part]):
            axis = axes[row, column]
            fractions = sorted({key[2] for key in found if key[:2] == (part, name)})
            for place, arm in enumerate(COLOURS):
                values_at = {f: paired(found[part, name, f], arm)[0] for f in fractions}
                known = [f for f in fractions if values_at[f]]
                if not known:
                    continue
                centre, half = np.asarray([mean_and_half_width(values_at[f]) for f in known]).T
                places = [100 * f * 1.03 ** (2 * place - 3) for f in known]
                style_of_line = "s--" if arm in LINEAR else "o-"
                axis.errorbar(places, centre, half, fmt=style_of_line, ms=4, capsize=2, color=COLOURS[arm], label=arm)
            axis.set_xscale("log")
            axis.set_xticks([100 * f for f in fractions], [f"{f:.0%}" for f in fractions])
            axis.minorticks_off()
            axis.set_title(TASKS.get(name, name.replace("_", " ")) + (f", {part}" if not column else ""))
            axis.set_xlabel("training trials used")
            axis.set_ylabel("bits/spike, pooled" if name in TASKS else TARGETS[name])
        axes[row, 0].legend(frameon=False)
        for axis in axes[row, len(names[part]) :]:
            axis.axis("off")
    return style.png_bytes(figure)


if __name__ == "__main__":
    entries = read_results(HERE / "results.jsonl")
    if not entries:
        raise SystemExit("no results yet; run experiments/new_animal/run.py first")
    table = values(entries)
    for part in dict.fromkeys(entry["part"] for entry in entries):
        print(markdown(table, part), end="\n\n")
        at_20 = {name: list(map(mean_and_half_width, paired(table[part, name, 0.2], *ARMS))) for name in TASKS}
        apart = [
            name for name, (single, tuned) in at_20.items() if tuned[0] - tuned[1] > single[0] + single[1]
        ]  # NaN half widths compare as not apart
        print(f"{part}: at 20 % of the trials the intervals lie apart on {len(apart)} of {len(TASKS)} tasks {apart}\n")
    with style.context():
        write_bytes(HERE / "curves.png", draw(table))
