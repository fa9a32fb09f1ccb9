"""Draws scores.png and mice.png from results.json and prints the tables of README beside what is expected.

python experiments/decoding/figure.py
"""

from pathlib import Path

import numpy as np
from scipy import stats

from neurojax.evals.decoding.scores import MAIN
from neurojax.files import read_json, write_bytes
from neurojax.viz import style

HERE = Path(__file__).parent
LABELS = {"r2": "R$^2$, mean of x and y", "balanced_accuracy": "balanced accuracy"}


def over_folds(reports: list[dict]) -> dict[str, dict[str, list[float]]]:
    """Session -> read-out -> main score of each fold."""
    main, found = MAIN[reports[0]["kind"]], {}
    for report in reports:
        for session, entry in report["sessions"].items():
            for name, block in entry["read_outs"].items():
                found.setdefault(session, {}).setdefault(name, []).append(block[main])
    return found


def mean_and_half_width(values: list[float]) -> tuple[float, float]:
    """Mean over folds and half of its 95 % interval (t over folds, which share fitting trials)."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def chewie_table(reports: list[dict]) -> str:
    """Read-outs by day: mean over folds, and folds in which the latents are above."""
    found = over_folds(reports)
    names = list(next(iter(found.values())))
    lines = [f"| {reports[0]['target']} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for session, read_outs in found.items():
        cells = ["{:.3f} +- {:.3f}".format(*mean_and_half_width(read_outs[name])) for name in names]
        lines.append(f"| {session} | " + " | ".join(cells) + " |")
        above = [sum(m > o for m, o in zip(read_outs["model"], read_outs[name], strict=True)) for name in names[1:]]
        lines.append("| latents above in | | " + " | ".join(f"{n} of {len(read_outs['model'])}" for n in above) + " |")
    if reports[0]["kind"] == "per_bin":
        lines += ["", *_by_dimension(reports, names)]
    return "\n".join(lines)


def _by_dimension(reports: list[dict], names: list[str]) -> list[str]:
    lines = ["| by dimension (x / y) | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for session in reports[0]["sessions"]:
        blocks = [report["sessions"][session]["read_outs"] for report in reports]
        means = [np.mean([block[name]["r2_per_dimension"] for block in blocks], axis=0) for name in names]
        lines.append(f"| {session} | " + " | ".join(f"{x:.2f} / {y:.2f}" for x, y in means) + " |")
    covered = np.mean(
        [e["read_outs"]["model"]["calibration"]["coverage"] for r in reports for e in r["sessions"].values()]
    )
    return [*lines, "", f"90 % intervals of the latents' read-out hold {covered:.3f} of the values."]


def mice_table(reports: dict[str, dict]) -> str:
    """Mean over sessions of each read-out, and what the model has over it."""
    lines = ["| target | read-out | mean over sessions | model minus it | sessions above |", "|---|---|---|---|---|"]
    for name, report in reports.items():
        main = MAIN[report["kind"]]
        for read_out, block in report["mean"].items():
            low, high = block[f"{main}_ci95"]
            gain = block.get("model_minus_it")
            ends = gain[f"{main}_ci95"] if gain else None
            told = f"{gain[main]:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]" if gain else ""
            above = f"{gain['sessions_above']} of {gain['num_sessions']}" if gain else ""
            lines.append(f"| {name} | {read_out} | {block[main]:.3f} [{low:.3f}, {high:.3f}] | {told} | {above} |")
    return "\n".join(lines)


def draw_chewie(targets: dict[str, list[dict]]) -> bytes:
    """Every fold a point, the mean with its interval."""
    figure, axes = style.new_figure(3.3 * len(targets), 3.4, 1, len(targets))
    for axis, (name, reports) in zip(axes[0], targets.items(), strict=True):
        _draw_folds(axis, reports)
        axis.set_title(name)
    return style.png_bytes(figure)


def draw_mice(reports: dict[str, dict]) -> bytes:
    """Of each target: latents against raw spikes, session by session; read-outs in the mean over sessions."""
    targets = [name for name in reports if "," not in name]
    figure, axes = style.new_figure(7.4, 3.1 * len(targets), len(targets), 2, width_ratios=(1, 1.25))
    for (left, right), name in zip(axes, targets, strict=True):
        _draw_sessions(left, reports[name])
        _draw_means(right, [report for report in reports.values() if report["target"] == name])
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
            centre, half = mean_and_half_width(read_outs[name])
            label = ("latents" if name == "model" else name) if place == 0 else None
            axis.errorbar([left], [centre], [half], fmt="o", ms=5, capsize=2, color=colours[name], label=label)
            axis.plot([left] * len(read_outs[name]), read_outs[name], ".", ms=3, color=colours[name], alpha=0.5)
    axis.set_xticks(range(len(found)), [session.split("_")[1] for session in found])
    axis.set_xlabel("day; points are folds, bars 95 % over folds")
    axis.set_ylabel(LABELS[MAIN[reports[0]["kind"]]])
    axis.legend(frameon=False, fontsize=7)


def _draw_sessions(axis, report: dict) -> None:
    main = MAIN[report["kind"]]
    for session, entry in report["sessions"].items():
        blocks = [entry["read_outs"][name] for name in ("raw", "model")]
        x, y = (block[main] for block in blocks)
        spread = [np.abs(np.asarray(block[f"{main}_ci95"])[:, None] - block[main]) for block in blocks]
        axis.errorbar([x], [y], spread[1], spread[0], fmt="o", ms=4, lw=0.6, color=style.MODEL)
        axis.annotate(session.removeprefix("session"), (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    ends = axis.get_xlim() + axis.get_ylim()
    axis.plot([min(ends), max(ends)], [min(ends), max(ends)], color=style.GREY, lw=0.8)
    style.finish(axis, "raw spikes, balanced accuracy", "latents, balanced accuracy")


def _draw_means(axis, reports: list[dict]) -> None:
    rows = {}  # the baselines of reports that differ in the model's features alone are the same
    for report in reports:
        after = ", mtm" if report["protocol"] == "mtm" else ""
        for name, block in report["mean"].items():
            rows.setdefault((report["features"] if name == "model" else name) + after, block)
    for place, (label, block) in enumerate(sorted(rows.items(), key=lambda row: row[0].endswith("mtm"))):
        score, (low, high) = block["balanced_accuracy"], block["balanced_accuracy_ci95"]
        colour = style.MODEL if label.startswith(("latents", "rates")) else style.VERMILION
        fill = "white" if label.endswith("mtm") else colour
        spread = [[score - low], [high - score]]
        axis.errorbar([score], [-place], xerr=spread, fmt="o", ms=5, capsize=2, color=colour, mfc=fill)
    axis.axvline(0.5, color=style.GREY, lw=0.8)
    axis.set_yticks(-np.arange(len(rows)), sorted(rows, key=lambda label: label.endswith("mtm")))
    style.finish(axis, "balanced accuracy, 95 % over trials")


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    for reports in results.get("chewie", {}).get("reports", {}).values():
        print(chewie_table(reports), end="\n\n")
    if "mice" in results:
        print(mice_table(results["mice"]["reports"]), end="\n\n")
    with style.context():
        if "chewie" in results:
            write_bytes(HERE / "scores.png", draw_chewie(results["chewie"]["reports"]))
        if "mice" in results:
            write_bytes(HERE / "mice.png", draw_mice(results["mice"]["reports"]))
    for name, entry in read_json(HERE / "expected.json").items() if "chewie" in results else ():
        session, read_out = entry["of"]
        values = over_folds(results["chewie"]["reports"]["velocity"])[session][read_out]
        off = np.mean(values) - entry["value"]
        told = "as expected" if abs(off) <= entry["tolerance"] else f"off by {off:+.3f}"
        print(f"{name}: {np.mean(values):.3f}, expected {entry['value']} +- {entry['tolerance']}: {told}")
