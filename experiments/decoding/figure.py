"""Draws scores.png and mice.png from results.json and prints the tables of README beside what is expected.

python experiments/decoding/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.evals.decoding import words
from neurojax.evals.decoding.scores import MAIN
from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style
from neurojax.scores import intervals

HERE = Path(__file__).parent
LABELS = {"r2": "R$^2$, mean of x and y", "balanced_accuracy": "balanced accuracy"}
READ_OUTS = {"same-bin linear": "raw", "lagged ridge": "lagged_ridge", "latents": "model", "GRU": "gru"}
NAMES = {"model": "latents", "lagged_ridge": "lagged ridge", "whole_trial": "whole trial", "gru": "GRU", "raw": "raw"}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names: R2 of the velocity, mean over folds by trial."""
    found = over_folds(results["chewie"]["reports"]["velocity"])
    return {
        f"{name}, {session.split('_')[1]}": float(np.mean(scores[read_out]))
        for session, scores in found.items()
        for name, read_out in READ_OUTS.items()
    }


def over_folds(reports: list[dict]) -> dict[str, dict[str, list[float]]]:
    """Session -> read-out -> main score of each fold."""
    main, found = MAIN[reports[0]["kind"]], {}
    for report in reports:
        for session, entry in report["sessions"].items():
            for name, block in entry["read_outs"].items():
                found.setdefault(session, {}).setdefault(name, []).append(block[main])
    return found


def plus_minus(values: list[float], sign: str = "") -> str:
    """Mean and half of its 95 % interval (Student's t over the values)."""
    found = intervals.t_interval(values)
    return f"{found.mean:{sign}.3f} +- {found.ci95[1] - found.mean:.3f}"


def between(values: list[float], sign: str = "") -> str:
    """Mean and 95 % interval (Student's t over the values)."""
    found = intervals.t_interval(values)
    return f"{found.mean:{sign}.3f} [{found.ci95[0]:{sign}.3f}, {found.ci95[1]:{sign}.3f}]"


def chewie_table(title: str, reports: list[dict]) -> str:
    """Read-outs by day: mean over folds, and what the latents have over each other read-out, paired over folds."""
    found = over_folds(reports)
    names = list(next(iter(found.values())))
    lines = [f"| {title} | " + " | ".join(NAMES[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for session, read_outs in found.items():
        day, model = session.split("_")[1], read_outs["model"]
        lines.append(f"| {day} | " + " | ".join(plus_minus(read_outs[name]) for name in names) + " |")
        gains = [np.subtract(model, read_outs[name]) for name in names[1:]]
        cells = [f"{plus_minus(gain, '+')}, above in {int((gain > 0).sum())} of {len(gain)}" for gain in gains]
        lines.append("| latents minus it | | " + " | ".join(cells) + " |")
    if reports[0]["kind"] == "per_bin":
        lines += ["", *_by_dimension(reports, names)]
    return "\n".join([*lines, "", *_choices([report["sessions"] for report in reports])])


def _by_dimension(reports: list[dict], names: list[str]) -> list[str]:
    lines = ["| x / y | " + " | ".join(NAMES[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for session in reports[0]["sessions"]:
        blocks = [report["sessions"][session]["read_outs"] for report in reports]
        means = [np.mean([block[name]["r2_per_dimension"] for block in blocks], axis=0) for name in names]
        lines.append(f"| {session.split('_')[1]} | " + " | ".join(f"{x:.2f} / {y:.2f}" for x, y in means) + " |")
    covered = np.mean(
        [e["read_outs"]["model"]["calibration"]["coverage"] for r in reports for e in r["sessions"].values()]
    )
    return [*lines, "", f"90 % intervals of the latents' read-out hold {covered:.3f} of the values."]


def _choices(sessions: list[dict]) -> list[str]:
    """What all folds chose, read-out by read-out."""
    found: dict[str, list] = {}
    for entries in sessions:
        for entry in entries.values():
            for name, block in entry["read_outs"].items():
                found.setdefault(name, []).extend(block["chosen"])
    return [f"- {NAMES[name]}: {words.in_words(folds)}" for name, folds in found.items()]


def by_session(report: dict, name: str) -> dict[str, float]:
    """Session -> main score of a read-out."""
    main = MAIN[report["kind"]]
    return {
        key: entry["read_outs"][name][main] for key, entry in report["sessions"].items() if name in entry["read_outs"]
    }


def mice_table(reports: dict[str, dict]) -> str:
    """Mean over sessions of each read-out, what the latents have over it (t over sessions, paired), and each mouse."""
    mice = {key: entry["subject_id"] for key, entry in reports["contrast_side"]["sessions"].items()}
    lines = [f"| target | read-out | mean over sessions | model minus it | above in | {' / '.join(_unique(mice))} |"]
    lines.append("|---" * 6 + "|")
    for title, report in reports.items():
        model = by_session(report, "model")
        others = {NAMES[name]: by_session(report, name) for name in report["mean"] if name != "model"}
        if report["features"] == "latents+spikes":  # the same folds of the same trials
            others["whole trial"] = by_session(reports[report["target"]], "whole_trial")
        lines.append(f"| {title} | {report['features']} | {between(list(model.values()))} | | | |")
        for name, scores in others.items():
            gains = {key: model[key] - scores[key] for key in model}
            means = {mouse: np.mean([gains[key] for key in gains if mice[key] == mouse]) for mouse in _unique(mice)}
            cells = [between(list(scores.values())), between(list(gains.values()), "+")]
            cells += [f"{sum(gain > 0 for gain in gains.values())} of {len(gains)}"]
            cells += [" / ".join(f"{mean:+.3f}" for mean in means.values())]
            lines.append(f"| | {name} | " + " | ".join(cells) + " |")
    for title in ("contrast_side", "feedback"):
        lines += ["", f"{title}:", *_choices([reports[title]["sessions"]])]
    return "\n".join(lines)


def _unique(mice: dict[str, str]) -> list[str]:
    return sorted(set(mice.values()))


def draw_chewie(targets: dict[str, list[dict]]) -> bytes:
    """Every fold a point, the mean with its interval; folds by trial above, blocks of time below."""
    figure, axes = style.new_figure(7.4, 6.2, 2, len(targets) // 2)
    for axis, (name, reports) in zip(axes.ravel(), targets.items(), strict=True):
        _draw_folds(axis, reports)
        target, _, blocks = name.partition(", ")
        axis.set_title(f"{target}, {'blocks of time' if blocks else 'folds by trial'}")
    return style.png_bytes(figure)


def draw_mice(reports: dict[str, dict]) -> bytes:
    """Of each target: latents against the spikes' best read-out, session by session; means over sessions."""
    targets = [name for name in reports if "," not in name]
    figure, axes = style.new_figure(7.6, 3.3 * len(targets), len(targets), 2, width_ratios=(1, 1.2))
    for (left, right), name in zip(axes, targets, strict=True):
        _draw_sessions(left, reports[name])
        _draw_means(right, {title: report for title, report in reports.items() if report["target"] == name})
        left.set_title(name.replace("_", " "))
        right.set_title("mean over sessions")
    return style.png_bytes(figure)


def _draw_folds(axis, reports: list[dict]) -> None:
    found = over_folds(reports)
    names = list(next(iter(found.values())))
    colours = style.predictor_colours(names)
    for place, read_outs in enumerate(found.values()):
        for number, name in enumerate(names):
            left = place + 0.75 * ((number + 0.5) / len(names) - 0.5)
            mean = intervals.t_interval(read_outs[name])
            half = mean.ci95[1] - mean.mean
            axis.errorbar([left], [mean.mean], [half], fmt="o", ms=5, capsize=2, color=colours[name],
                          label=NAMES[name] if place == 0 else None)  # fmt: skip
            axis.plot([left] * len(read_outs[name]), read_outs[name], ".", ms=3, color=colours[name], alpha=0.5)
    axis.set_xticks(range(len(found)), [session.split("_")[1] for session in found])
    axis.set_xlabel("day; points are folds, bars 95 % (t over folds)")
    axis.set_ylabel(LABELS[MAIN[reports[0]["kind"]]])
    axis.set_xlim(-0.55, len(found) - 0.45)
    low, high = axis.get_ylim()
    axis.set_yticks([tick for tick in axis.get_yticks() if low <= tick <= min(high, 1.0)])
    axis.set_ylim(low, high + 0.16 * (high - low))  # room for the legend above every point
    axis.legend(frameon=False, fontsize=7, ncols=len(names), loc="upper left", columnspacing=1.0, handletextpad=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_sessions(axis, report: dict) -> None:
    main, shapes = MAIN[report["kind"]], {}
    for session, entry in report["sessions"].items():
        mouse = entry["subject_id"]
        shape = shapes.setdefault(mouse, ("o", "s", "^")[len(shapes) % 3])
        x, y = (entry["read_outs"][name][main] for name in ("whole_trial", "model"))
        first = mouse not in axis.get_legend_handles_labels()[1]
        axis.plot([x], [y], shape, ms=5, color=style.MODEL, label=mouse if first else None)
        axis.annotate(session.removeprefix("session"), (x, y), fontsize=6, xytext=(4, 3), textcoords="offset points")
    ends = axis.get_xlim() + axis.get_ylim()
    axis.plot([min(ends), max(ends)], [min(ends), max(ends)], color=style.GREY, lw=0.8)
    axis.legend(fontsize=7, loc="upper left")
    style.finish(axis, "spikes of the whole trial, balanced accuracy", "latents, balanced accuracy")


def _draw_means(axis, reports: dict[str, dict]) -> None:
    rows = {}  # raw spikes beside the model's other features are the same
    for title, report in reports.items():
        after = "" if "," not in title or title.endswith("both") else f", {title.partition(', ')[2]}"
        for name in report["mean"]:
            label = (
                report["features"]
                if name == "model"
                else f"{NAMES[name]} spikes".replace("whole trial spikes", "whole trial")
            )
            rows.setdefault(label + after, list(by_session(report, name).values()))
    for place, (label, values) in enumerate(rows.items()):
        found = intervals.t_interval(values)
        colour = style.MODEL if label.startswith(("latents", "rates")) else style.VERMILION
        fill = "white" if "," in label else colour
        half = found.ci95[1] - found.mean
        axis.errorbar([found.mean], [-place], xerr=[half], fmt="o", ms=5, capsize=2, color=colour, mfc=fill)
    axis.axvline(0.5, color=style.GREY, lw=0.8)
    axis.set_yticks(-np.arange(len(rows)), list(rows))
    style.finish(axis, "balanced accuracy, 95 % (t over nine sessions)")


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    chewie = results.get("chewie", {}).get("reports", {})
    for title, reports in chewie.items():
        print(chewie_table(title, reports), end="\n\n")
    if "mice" in results:
        print(mice_table(results["mice"]["reports"]), end="\n\n")
    with style.context():
        if chewie:
            write_bytes(HERE / "scores.png", draw_chewie(chewie))
        if "mice" in results:
            write_bytes(HERE / "mice.png", draw_mice(results["mice"]["reports"]))
    if chewie:
        print("\n".join(beside(observed(results), read_json(HERE / "expected.json"))))
