"""Least squares of one form over all shapes it may have: a grid that narrows around the best.

Given the shapes, the limit and the amplitude are those of a weighted line, in closed form; so many
draws of one curve are fitted at once, and no start can be a wrong one.

Letters: M points, D draws, K shapes, G grid points.
"""

import numpy as np

from neurojax.analysis import curve_forms
from neurojax.analysis.curve_forms import Form

_STEPS = {0: 1, 1: 80, 2: 24, 3: 12}  # of the first grid, by number of shapes
_ZOOMS, _ZOOM_STEPS = 10, {0: 1, 1: 7, 2: 5, 3: 5}
_TINY = 1e-12


def search(
    relative: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    form: Form,
    limits: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of scores [D, M] with weights [M]: limit [D], amplitude [D], shapes [D, K]."""
    bounds = curve_forms.ranges(form, relative)
    num_shapes, num_draws = len(bounds), len(scores)
    logs = curve_forms.grid(bounds, _STEPS[num_shapes])  # [G, K]
    basis = form.basis(relative, np.exp(logs))  # [G, M]
    squares, limit, amplitude = _lines(basis[None], scores, weights, form.has_limit, limits)
    best = squares.argmin(1)
    rows = np.arange(num_draws)
    centre, limit, amplitude = logs[best], limit[rows, best], amplitude[rows, best]
    if not num_shapes:
        return limit, amplitude, np.exp(centre)
    low, high = np.array(bounds).T
    reach = (high - low) / (_STEPS[num_shapes] - 1)
    offsets = curve_forms.grid([(-1.0, 1.0)] * num_shapes, _ZOOM_STEPS[num_shapes])
    for _ in range(_ZOOMS):
        near = np.clip(centre[:, None] + reach * offsets, low, high)  # [D, G, K]
        basis = form.basis(relative, np.exp(near))
        squares, limits_here, amplitudes = _lines(basis, scores, weights, form.has_limit, limits)
        best = squares.argmin(1)
        centre = near[rows, best]
        limit, amplitude = limits_here[rows, best], amplitudes[rows, best]
        reach = reach * 0.5
    return limit, amplitude, np.exp(centre)


def _lines(
    basis: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    has_limit: bool,
    limits: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted lines of scores [D, M] on basis [D or 1, G, M]: squared residuals, limit and
    amplitude, each [D, G]."""
    total = weights.sum()
    means = scores @ weights / total  # [D]; taken out first, against cancellation
    centred = scores - means[:, None]
    b1 = basis @ weights
    b2 = (basis**2) @ weights
    y2 = (centred**2 @ weights)[:, None]
    by = np.matmul(basis, (centred * weights)[..., None])[..., 0]
    through_zero = by + means[:, None] * b1
    if not has_limit:
        amplitude = through_zero / np.maximum(b2, _TINY)
        limit = np.zeros_like(amplitude)
    else:
        spread = np.maximum(b2 - b1**2 / total, _TINY * np.maximum(b2, _TINY))
        amplitude = by / spread
        limit = means[:, None] - amplitude * b1 / total
        clipped = np.clip(limit, *limits)
        # One bound of a convex problem: where it is crossed, the optimum lies on it.
        on_bound = (through_zero - clipped * b1) / np.maximum(b2, _TINY)
        amplitude = np.where(clipped == limit, amplitude, on_bound)
        limit = clipped
    off = limit - means[:, None]
    squares = (
        y2 + total * off**2 + amplitude**2 * b2 - 2 * amplitude * by + 2 * off * amplitude * b1
    )
    return squares, limit, amplitude
