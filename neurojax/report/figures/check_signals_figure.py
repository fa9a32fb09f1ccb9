"""One page about a dataset of real values: traces, amplitudes, splits and conditions."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.data.store.dataset import Dataset
from neurojax.report.figures import style
from neurojax.report.figures.check_figure import draw_lengths, draw_split_over_time

_MAX_SESSIONS, _MAX_CHANNELS, _MAX_BARS, _MAX_VALUES = 40, 16, 20, 10**6


def draw_signals_check(dataset: Dataset, report: dict[str, Any]) -> style.Figure:
    """Six panels: a window, standard deviations, amplitudes, the split, conditions, window lengths.

    Args:
        dataset: sessions of real values that were checked.
        report: `check_dataset(dataset)`.
    """
    with style.context():
        figure, axes = style.new_figure(11.0, 8.0, 3, 2)
        draw_window(axes[0, 0], dataset.sessions[0])
        draw_channel_sd(axes[0, 1], report)
        draw_amplitudes(axes[1, 0], dataset)
        draw_split_over_time(axes[1, 1], dataset, report)
        draw_condition(axes[2, 0], report)
        lengths = np.concatenate([session.trial_num_bins for session in dataset.sessions])
        draw_lengths(axes[2, 1], lengths * dataset.bin_size_s, dataset.bin_size_s)
    return figure


def draw_window(axes: style.Axes, session: Session) -> style.Axes:
    """All channels of the trial in the middle of a session, one above the other."""
    trial = session.num_trials // 2
    start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
    window = np.asarray(session.values[start : start + length, :_MAX_CHANNELS], np.float32)
    step = max(float(np.nanmax(window) - np.nanmin(window)), 1e-6)
    time_s = np.arange(length) * session.bin_size_s
    for channel, trace in enumerate(window.T):
        axes.plot(time_s, trace + channel * step, color=style.BLUE, linewidth=0.8)
    names = [style.plain(name) for name in session.unit_id[:_MAX_CHANNELS]]
    axes.set_yticks(np.arange(len(names)) * step, names, fontsize=7)
    label = f"time in trial {trial} of {style.plain(session.session_id)} (s)"
    title = f"{len(names)} of {session.num_units} channels, a step is {step:.3g}"
    return style.finish(axes, label, "channel", f"{title} {style.plain(session.unit_of_values)}")


def draw_channel_sd(axes: style.Axes, report: dict[str, Any]) -> style.Axes:
    """Standard deviation of every channel, a column a session: gains and dead channels show."""
    shown = list(report["sessions"].items())[:_MAX_SESSIONS]
    for column, (_, facts) in enumerate(shown):
        sd = facts["channel_sd"] or []
        axes.plot([column] * len(sd), sd, ".", color=style.BLUE, markersize=3)
    axes.set_ylim(bottom=0)
    axes.set_xticks([])
    unit = style.plain(shown[0][1]["unit"])
    more = f", the first {len(shown)}" if len(shown) < len(report["sessions"]) else ""
    return style.finish(
        axes, f"session{more}", f"sd ({unit})", "Standard deviation of each channel"
    )


def draw_amplitudes(axes: style.Axes, dataset: Dataset) -> style.Axes:
    """Histogram of samples of all channels on a logarithmic axis: clipping is a bar at an end."""
    # Every k-th sample of a large recording: the shape of its values is the same.
    size = max(1, sum(session.values.size for session in dataset.sessions) // _MAX_VALUES)
    samples = np.concatenate(
        [np.asarray(s.values[::size], np.float32).ravel() for s in dataset.sessions]
    )
    samples = samples[np.isfinite(samples)]
    axes.hist(samples, bins=81, color=style.GREEN, log=True)
    unit = style.plain(dataset.sessions[0].unit_of_values)
    every = "all samples" if size == 1 else f"one sample of {size}"
    return style.finish(axes, f"value ({unit})", "samples", f"Values, {every}")


def draw_condition(axes: style.Axes, report: dict[str, Any]) -> style.Axes:
    """Trials of each value of the condition with most values that every session has, by split."""
    facts = list(report["sessions"].values())
    shared = set.intersection(*(set(found["condition_counts"]) for found in facts))
    if not shared:
        return style.finish(axes, "", "trials", "No condition with few values")
    # The name settles ties, so that a figure is the same whenever it is drawn.
    name = max(shared, key=lambda key: (len(facts[0]["condition_counts"][key]), key))
    values = sorted({value for found in facts for value in found["condition_counts"][name]})
    values = values[:_MAX_BARS]
    bottom = np.zeros(len(values))
    for split, colour in zip(SPLIT_NAMES, (style.BLUE, style.ORANGE, style.VERMILION), strict=True):
        of_split = [f for f in facts if f["trials_per_split"][split] == f["num_trials"]]
        counts = [
            sum(f["condition_counts"][name].get(value, 0) for f in of_split) for value in values
        ]
        axes.bar(range(len(values)), counts, bottom=bottom, color=colour, label=split)
        bottom += counts
    mixed = [f for f in facts if f["num_trials"] not in f["trials_per_split"].values()]
    counts = [sum(f["condition_counts"][name].get(value, 0) for f in mixed) for value in values]
    axes.bar(range(len(values)), counts, bottom=bottom, color=style.GREY)
    axes.set_xticks(range(len(values)), [style.plain(value) for value in values])
    return style.finish(axes, style.plain(name), "trials", f"Trials of each {style.plain(name)}")
