"""The course of training: loss and validation score against step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurojax.report.figures import style


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Centred mean over up to `width` neighbours, shorter at both ends: [steps] -> float64
    [steps]."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    first = np.maximum(places - width // 2, 0)
    last = np.minimum(places + (width - width // 2), len(values))
    return (sums[last] - sums[first]) / (last - first)


def loss_curve(
    axes: style.Axes,
    steps: np.ndarray,
    losses: np.ndarray,
    validation: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    *,
    loss_label: str = "Poisson",
) -> style.Axes:
    """Training loss on the left axis, validation bits/spike on the right one, against step.

    Args:
        axes: where to draw; a second axes for the scores is laid over it.
        steps: int [steps] at which the loss was logged.
        losses: [steps] Poisson loss, as logged; drawn pale, with a running mean.
        validation: name -> (steps, bits/spike), each drawn with its own colour.
        loss_label: unit of the loss.
    """
    steps, losses = np.asarray(steps), np.asarray(losses, np.float64)
    known = np.isfinite(losses)
    steps, losses = steps[known], losses[known]
    width = max(1, len(losses) // 20)
    axes.plot(steps, losses, color=style.GREY, alpha=0.35 if width > 1 else 1.0, linewidth=0.8)
    if width > 1:
        axes.plot(steps, running_mean(losses, width), color=style.OBSERVED, linewidth=1.4)
    style.finish(axes, "training step", f"training loss ({loss_label}; grey)", "Training")
    if len(losses) > 4:  # the first steps may tower over the rest
        low, high = losses.min(), max(np.percentile(losses, 98), losses[len(losses) // 10])
        room = 0.05 * max(high - low, 1e-9)
        axes.set_ylim(low - room, high + room)
    if not validation:
        return axes
    right = axes.twinx()
    for index, (name, (at, values)) in enumerate(validation.items()):
        colour = style.CYCLE[index % len(style.CYCLE)]
        right.plot(at, values, color=colour, marker="o", markersize=3, label=name)
    right.set_ylabel(f"validation (bits/spike{', colours' if len(validation) > 1 else ', blue'})")
    right.spines["top"].set_visible(False)
    if len(validation) > 1:
        style.legend_below(right, 4)
    return axes
