"""Syllables of behaviour: the body as each runs off, a stretch of labels, durations, followers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurojax.report.figures import style

MOST_DRAWN = 12  # syllables whose body is drawn
STRETCH_S = 30.0
STEPS = 4  # bodies drawn of a syllable, from light to dark


def draw(
    labels: np.ndarray,
    body_px: np.ndarray,
    sampling_hz: float,
    order: Sequence[int],
    followed_by: np.ndarray,
) -> style.Figure:
    """Args:
    labels: int [T], syllable of every frame.
    body_px: float [T, K, 2], keypoints around the middle of the animal, which looks to the right.
    sampling_hz: frames per second.
    order: syllables that occur, the most used first.
    followed_by: float [S, S].
    """
    drawn = list(order)[:MOST_DRAWN]
    columns = min(6, len(drawn))
    rows = -(-len(drawn) // columns)
    figure, _ = style.new_figure(8.0, 1.35 * rows + 3.9, 0)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.35 * rows, 3.9])
    panels = top.subplots(rows, columns, squeeze=False)
    # A keypoint lost for a moment may lie anywhere.
    reach = np.percentile(np.abs(body_px.reshape(-1, 2)), 99, axis=0).max() * 1.3
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    lengths = np.diff(np.append(starts, len(labels)))
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, syllable in zip(panels.flat, drawn, strict=False):
        mine = labels[starts] == syllable
        median = max(int(np.median(lengths[mine])), 1)
        long = starts[mine & (lengths >= median)]
        for step in range(STEPS):
            frames = long + step * (median - 1) // max(STEPS - 1, 1)
            mean = body_px[frames].mean(0)
            shade = 0.25 + 0.75 * step / (STEPS - 1)
            axes.plot(*mean.T, "-o", color=style.BLUE, alpha=shade, markersize=2.5, linewidth=1.0)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.set_title(f"{syllable}: {median / sampling_hz:.2f} s", fontsize=8, fontweight="normal")
    top.suptitle("The body as each syllable runs off, from light to dark", fontsize=10, x=0.3)
    grid = bottom.add_gridspec(2, 2, height_ratios=[1, 2])
    stretch = bottom.add_subplot(grid[0, :])
    durations, follow = bottom.add_subplot(grid[1, 0]), bottom.add_subplot(grid[1, 1])
    _stretch(stretch, labels, sampling_hz, drawn)
    whole = lengths[1:-1] / sampling_hz
    if len(whole):
        edges = np.geomspace(1 / sampling_hz, max(whole.max(), 2 / sampling_hz), 30)
        durations.hist(whole, bins=edges, color=style.BLUE)
        durations.set_xscale("log")
    style.finish(durations, "duration of a syllable, s", "times", "Durations")
    shown = np.asarray(followed_by)[np.ix_(drawn, drawn)]
    image = follow.imshow(shown, cmap=style.SCORE_MAP, vmin=0)
    follow.set_xticks(range(len(drawn)), drawn)
    follow.set_yticks(range(len(drawn)), drawn)
    bottom.colorbar(image, ax=follow, label="share")
    style.finish(follow, "next syllable", "syllable", "What follows what")
    return figure


def _stretch(axes, labels: np.ndarray, sampling_hz: float, drawn: Sequence[int]) -> None:
    """A raster of the first half minute: a row a syllable."""
    some = labels[: round(STRETCH_S * sampling_hz)]
    for row, syllable in enumerate(drawn):
        at = np.flatnonzero(some == syllable)
        axes.plot(at / sampling_hz, np.full(len(at), row), "|", color=style.BLACK, markersize=3)
    axes.set_yticks(range(len(drawn)), drawn)
    axes.tick_params(axis="y", labelsize=5)
    axes.invert_yaxis()
    style.finish(axes, "time, s", "syllable", "The first half minute")
