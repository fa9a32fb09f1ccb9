"""Experiments on a twin: one neuron's tuning and most exciting image, and all neurons together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style

CAPTION = (
    "The most exciting image (zero mean, unit sd), a cross where the neuron looks; responses to "
    "gratings by orientation and spatial frequency; orientation at the best frequency; the best "
    "grating in discs of growing radius."
)
OVERVIEW = (
    "Most exciting images of the first neurons; selectivity for orientation, and surround "
    "suppression, of all neurons on these pages."
)


def of_neuron(one: Mapping[str, Any]) -> style.Figure:
    """Four panels of a neuron.

    Args:
        one: image [H, W], centre_px (x, y), responses [O, F], curve [O], orientations_deg [O],
            cycles_per_pixel [F], radii_px [R], size_curve [R].
    """
    figure, axes = style.new_figure(10.0, 2.6, 1, 4)
    first, second, third, fourth = axes[0]
    _image(first, one["image"])
    first.plot(*one["centre_px"], "+", color=style.ORANGE, markersize=8)
    first.set_title("most exciting image")
    shown = second.imshow(one["responses"].T, aspect="auto", origin="lower", cmap=style.RATE_MAP)
    figure.colorbar(shown, ax=second, label="response")
    number = len(one["orientations_deg"])
    second.set_xticks(range(0, number, max(1, number // 4)))
    second.set_xticklabels([f"{d:.0f}" for d in one["orientations_deg"][:: max(1, number // 4)]])
    second.set_yticks(range(len(one["cycles_per_pixel"])))
    second.set_yticklabels([f"{f:.2f}" for f in one["cycles_per_pixel"]])
    style.finish(second, "orientation (degrees)", "cycles/pixel", "gratings")
    third.plot(one["orientations_deg"], one["curve"], "o-", color=style.MODEL)
    third.set_ylim(bottom=0)
    style.finish(third, "orientation (degrees)", "response", "orientation")
    fourth.plot(one["radii_px"], one["size_curve"], "o-", color=style.MODEL)
    fourth.set_ylim(bottom=0)
    style.finish(fourth, "radius (pixels)", "response", "size")
    return figure


def overview(neurons: Sequence[Mapping[str, Any]]) -> style.Figure:
    """Up to eight most exciting images, and histograms over all neurons."""
    figure, axes = style.new_figure(10.0, 3.4, 2, 6)
    for place, axis in enumerate(axes[:, :4].ravel()):
        if place < len(neurons):
            _image(axis, neurons[place]["image"])
            axis.set_title(style.plain(neurons[place]["name"]))
        else:
            axis.set_visible(False)
    grid = axes[0, 4].get_gridspec()
    for axis in axes[:, 4:].ravel():
        axis.set_visible(False)
    labels = {"selectivity": "selectivity for orientation", "suppression": "surround suppression"}
    for row, (name, label) in enumerate(labels.items()):
        axis = figure.add_subplot(grid[row, 4:])
        values = np.array([one[name] for one in neurons])
        axis.hist(values, bins=np.linspace(0, 1, 21), color=style.MODEL)
        style.finish(axis, label, "neurons")
    return figure


def _image(axis: Any, image: np.ndarray) -> None:
    most = float(np.abs(image).max()) or 1.0
    axis.imshow(image, cmap="gray", vmin=-most, vmax=most, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
