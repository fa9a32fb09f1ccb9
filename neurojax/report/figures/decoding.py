"""Figures of a decoder: its scores beside other read-outs, and its calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurojax.evals.decoding import words
from neurojax.evals.decoding.calibration import NOMINAL
from neurojax.evals.decoding.scores import MAIN
from neurojax.evals.decoding.targets import CATEGORICAL
from neurojax.report.figures import style

_LABELS = {"balanced_accuracy": "balanced accuracy", "r2": "R$^2$"}
MAX_SESSIONS = 24  # with more, the figure shows the first ones


def figure(report: Mapping[str, Any]) -> style.Figure:
    """Sessions by read-out, then confidence: from the content of decoding.json."""
    with style.context():
        made, axes = style.new_figure(10.0, 3.4, 1, 3, gridspec_kw={"width_ratios": (1.6, 1, 1)})
        scores_of_sessions(axes[0, 0], report)
        if report["kind"] == CATEGORICAL:
            reliability(axes[0, 1], report)
            abstention(axes[0, 2], report)
        else:
            coverage(axes[0, 1], report)
            regions(axes[0, 2], report)
        made.suptitle(
            style.plain(f"{report['target']}: {report['method']}, protocol {report['protocol']}"),
            x=0.01,
            ha="left",
        )
        return made


def scores_of_sessions(axes: style.Axes, report: Mapping[str, Any]) -> style.Axes:
    """Main score of every read-out by session, 95 % over trials; chance is a grey line.

    The legend stands above the data and says which smoothing and lags the folds chose.
    """
    main = MAIN[report["kind"]]
    names = list(
        dict.fromkeys(name for entry in report["sessions"].values() for name in entry["read_outs"])
    )
    colours, labels = style.predictor_colours(names), _labels(report, names)
    shown = list(report["sessions"].items())[:MAX_SESSIONS]
    named: set[str] = set()  # the first session may lack a score
    for place, (_, entry) in enumerate(shown):
        for number, name in enumerate(names):
            block = entry["read_outs"].get(name, {})
            if (value := block.get(main)) is None:
                continue
            # Read-outs side by side within a session, so that their bars do not hide each other.
            left = place + 0.7 * ((number + 0.5) / len(names) - 0.5)
            low, high = block.get(f"{main}_ci95") or (value, value)
            axes.plot([left, left], [low, high], color=colours[name], lw=1)
            axes.plot(
                [left],
                [value],
                "o",
                ms=4,
                color=colours[name],
                label=None if name in named else labels[name],
            )
            named.add(name)
        chance = entry["read_outs"].get("model", {}).get("chance", {}).get("chance_95th_percentile")
        if chance is not None:
            axes.plot([place - 0.4, place + 0.4], [chance, chance], color=style.GREY, lw=1, ls=":")
    axes.set_xticks(
        range(len(shown)), [style.plain(name) for name, _ in shown], rotation=30, ha="right"
    )
    style.finish(axes, "session", _LABELS[main], "held-out trials; dotted: 95 % of shuffled labels")
    if named:
        _legend_above(axes, len(named))
    return axes


def _legend_above(axes: style.Axes, count: int) -> None:
    """A legend in room of its own above the data, so that it covers no line."""
    columns = min(count, 2)
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    axes.set_ylim(low, high + (high - low) * (0.1 + 0.12 * -(-count // columns)))
    axes.legend(ncols=columns, loc="upper left", borderaxespad=0.2, columnspacing=1.2)


def _labels(report: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Read-out -> its name, with what its folds chose in seconds."""
    labels = {}
    for name in names:
        folds = [
            f
            for entry in report["sessions"].values()
            for f in entry["read_outs"].get(name, {}).get("chosen", [])
        ]
        seconds = words.in_short(folds)
        labels[name] = f"{name}: {seconds}" if seconds else name
    return labels


def reliability(axes: style.Axes, report: Mapping[str, Any]) -> style.Axes:
    """How often the model's decoder is right at each confidence."""
    style.finish(axes, "stated probability", "share that is right", "calibration")
    axes.plot([0, 1], [0, 1], color=style.GREY, lw=0.8)
    for label, block in _curves(report):
        curve = block["calibration"]["reliability"]
        axes.plot(curve["confidence"], curve["accuracy"], "o-", ms=3, label=style.plain(label))
    _legend_above(axes, len(_curves(report)))
    return axes


def abstention(axes: style.Axes, report: Mapping[str, Any]) -> style.Axes:
    """Accuracy on the surest trials by share kept; thin lines are single sessions."""
    style.finish(axes, "share of trials decoded", "accuracy", "when it may abstain")
    together = len(report["sessions"]) > 1 and report["pooled"].get("model") is not None
    for entry in list(report["sessions"].values())[:MAX_SESSIONS] if together else ():
        block = entry["read_outs"]["model"]
        curve = block["calibration"]["selective"]
        axes.plot(curve["share_kept"], curve["accuracy"], color=style.GREY, lw=0.6)
    for label, block in _curves(report):
        curve = block["calibration"]["selective"]
        axes.plot(curve["share_kept"], curve["accuracy"], "o-", ms=3, label=style.plain(label))
    return axes


def coverage(axes: style.Axes, report: Mapping[str, Any]) -> style.Axes:
    """Share of true values inside the decoder's intervals, session by session."""
    shown = list(report["sessions"].items())[:MAX_SESSIONS]
    values = [entry["read_outs"]["model"]["calibration"]["coverage"] for _, entry in shown]
    axes.axhline(NOMINAL, color=style.GREY, lw=0.8)
    axes.plot(range(len(values)), values, "o", color=style.MODEL)
    axes.set_xticks(
        range(len(shown)), [style.plain(name) for name, _ in shown], rotation=30, ha="right"
    )
    axes.set_ylim(min([0.7, *values]), 1)
    return style.finish(axes, "session", "share of values inside", f"{NOMINAL:.0%} intervals")


def regions(axes: style.Axes, report: Mapping[str, Any]) -> style.Axes:
    """The main score from single regions."""
    main = MAIN[report["kind"]]
    found = [
        (f"{name} {region}", block[main])
        for name, entry in report["sessions"].items()
        for region, block in entry.get("regions", {}).items()
        if block.get(main) is not None
    ][:MAX_SESSIONS]
    if not found:
        axes.axis("off")
        return style.say(axes, "single regions: --regions")
    axes.barh(range(len(found)), [value for _, value in found], color=style.MODEL)
    axes.set_yticks(range(len(found)), [style.plain(name) for name, _ in found])
    return style.finish(axes, _LABELS[main], "", "one region visible")


def _curves(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The model's blocks of all sessions together, else of each."""
    pooled = report["pooled"].get("model")
    if pooled is not None:
        return [
            (
                "all sessions" if len(report["sessions"]) > 1 else next(iter(report["sessions"])),
                pooled,
            )
        ]
    return [
        (name, entry["read_outs"]["model"]) for name, entry in list(report["sessions"].items())[:8]
    ]
