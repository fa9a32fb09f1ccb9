"""One form of a learning curve fitted to points, robustly, with draws for its intervals.

The shapes are searched on a grid (`curve_search`), weights of outlying points fall (Huber 1964),
and SciPy's least squares with a soft L1 loss ends it, on logarithms of the scores where these are
losses. Draws are fits of curves made again from the fitted one with noise of a standard deviation
that is itself drawn, so that few points give wide intervals (as Student's t does).

Letters: M points, D draws, K shapes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from neurojax.analysis import curve_forms, curve_search
from neurojax.analysis.curve_forms import Form
from neurojax.errors import InputError, require

SCALES = ("auto", "log", "plain")
_HUBER = 2.5  # standard deviations from which on a point counts less
_ROUNDS = 20  # of weights, at most
_TINY = 1e-12


class Points(NamedTuple):
    """Points of a learning curve: sizes [M] (over 0), scores [M], their standard errors [M] or
    None where all are alike."""

    sizes: np.ndarray
    scores: np.ndarray
    errors: np.ndarray | None = None


class Fit(NamedTuple):
    """A fitted form; parameters are in the scores' unit and over sizes / reference.

    Attributes:
        form: which.
        reference: size in the middle of the data.
        limit, amplitude: of the fit.
        shapes: [K].
        noise: standard deviation of a point, relative to the curve where `is_log`.
        is_log: whether it was fitted to logarithms.
        spare: points less parameters.
        drawn_limit, drawn_amplitude: [D].
        drawn_shapes: [D, K].
    """

    form: Form
    reference: float
    limit: float
    amplitude: float
    shapes: np.ndarray
    noise: float
    is_log: bool
    spare: int
    drawn_limit: np.ndarray
    drawn_amplitude: np.ndarray
    drawn_shapes: np.ndarray


def points(
    sizes: Sequence[float], scores: Sequence[float], errors: Sequence[float] | None = None
) -> Points:
    """Points in order of size.

    Args:
        sizes: M numbers over 0: sessions, minutes, people, parameters, ...
        scores: M finite numbers in one unit.
        errors: M standard errors over 0, where they differ.

    Raises:
        InputError: other lengths, other values, or fewer than three different sizes.
    """
    columns = {"sizes": sizes, "scores": scores} | ({} if errors is None else {"errors": errors})
    found = {}
    for name, values in columns.items():
        try:
            array = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{name} of a curve hold no numbers; give one a point") from None
        found[name] = array
        require(
            array.ndim == 1 and len(array) == len(found["sizes"]) and np.isfinite(array).all(),
            f"{name} of a curve: shape {array.shape}; expected one finite number for each of the "
            f"{found['sizes'].size} points",
        )
        require(
            name == "scores" or (array > 0).all(),
            f"{name} of a curve hold {array.min():g}; expected numbers over 0",
        )
    distinct = len(np.unique(found["sizes"]))
    require(distinct >= 3, f"{distinct} different sizes; a curve needs three or more: add runs")
    order = np.argsort(found["sizes"], kind="stable")
    return Points(**{name: array[order] for name, array in found.items()})


def fit(
    curve: Points,
    form: Form,
    *,
    scale: str = "auto",
    limits: tuple[float, float] = (-np.inf, np.inf),
    num_draws: int = 400,
    seed: int | Sequence[int] = 0,
) -> Fit:
    """Fits one form.

    Args:
        curve: of `points`.
        form: of `curve_forms`.
        scale: what is fitted: "log" the logarithms of scores over 0 (losses, whose scatter is in
            proportion), "plain" the scores; "auto" is log where all are over 0 and fall.
        limits: what the limit may be, such as (0, inf) of a loss or (0, 1) of an accuracy.
        num_draws: D, for intervals; 0 for none.
        seed: of the draws.

    Raises:
        InputError: fewer points or sizes than parameters, or no such scale.
    """
    sizes, scores = curve.sizes, curve.scores
    needed = form.num_parameters
    require(
        has_enough(curve, form),
        f"{len(np.unique(sizes))} sizes and {len(sizes)} points; {form.name} ({form.words}) needs "
        f"{needed} sizes and {needed + 1} points",
    )
    is_log = _is_log(curve, scale)
    reference = float(np.exp(np.log(sizes).mean()))
    relative, spare = sizes / reference, len(sizes) - needed
    base = np.ones(len(sizes))
    if curve.errors is not None:
        errors = curve.errors / scores if is_log else curve.errors
        base = (np.median(errors) / errors) ** 2
    start, trusted, spread = _reweighted(relative, scores, base, form, limits, is_log, spare)
    limit, amplitude, shapes = _polished(
        relative, scores, base, form, limits, is_log, spread, start
    )
    fitted = limit + amplitude * form.basis(relative, shapes)
    noise = _noise(np.sqrt(base) * _residuals(scores, fitted, is_log), trusted, spare)
    deviations = noise / np.sqrt(base * trusted)  # of each point, as far as it is trusted
    drawn = _draws(relative, fitted, deviations, form, limits, is_log, spare, num_draws, seed)
    return Fit(form, reference, limit, amplitude, shapes, noise, is_log, spare, *drawn)


def has_enough(curve: Points, form: Form) -> bool:
    """Whether there are points and sizes enough to fit a form and to see scatter around it."""
    needed = form.num_parameters
    return len(np.unique(curve.sizes)) >= needed and len(curve.sizes) > needed


def predict(found: Fit, sizes: Sequence[float] | np.ndarray) -> np.ndarray:
    """The fitted curve at sizes [M]."""
    relative = np.asarray(sizes, np.float64) / found.reference
    return found.limit + found.amplitude * found.form.basis(relative, found.shapes)


def predict_draws(found: Fit, sizes: Sequence[float] | np.ndarray) -> np.ndarray:
    """The drawn curves at sizes [M]: [D, M]."""
    relative = np.asarray(sizes, np.float64) / found.reference
    basis = found.form.basis(relative, found.drawn_shapes)
    return found.drawn_limit[:, None] + found.drawn_amplitude[:, None] * basis


def parameters(found: Fit, level: float = 0.9) -> dict[str, dict[str, float]]:
    """Name -> {"value", "low", "high"}: sizes in units of the axis, the amplitude at the reference.

    Args:
        found: a fit with draws.
        level: share of the draws between low and high.
    """
    values = {"amplitude": (found.amplitude, found.drawn_amplitude)}
    if found.form.has_limit:
        values["limit"] = (found.limit, found.drawn_limit)
    for place, name in enumerate(found.form.shapes):
        unit = found.reference if found.form.is_size[place] else 1.0
        values[name] = (unit * found.shapes[place], unit * found.drawn_shapes[:, place])
    told = {}
    for name, (value, drawn) in values.items():
        low, high = between(drawn, level)
        told[name] = {"value": float(value), "low": low, "high": high}
    return told


def between(drawn: np.ndarray, level: float) -> tuple[float, float]:
    """The central `level` of draws [D]."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _is_log(curve: Points, scale: str) -> bool:
    require(scale in SCALES, f"scale={scale!r}; expected one of {', '.join(SCALES)}")
    positive = bool((curve.scores > 0).all())
    require(
        scale != "log" or positive,
        f"scale='log', but a score is {curve.scores.min():g}; take 'plain' for scores that may be "
        "0 or less",
    )
    if scale != "auto":
        return scale == "log"
    return positive and bool(np.polyfit(np.log(curve.sizes), curve.scores, 1)[0] < 0)


def _residuals(scores: np.ndarray, fitted: np.ndarray, is_log: bool) -> np.ndarray:
    if is_log:
        return np.log(scores) - np.log(np.maximum(fitted, _TINY * scores))
    return scores - fitted


def _reweighted(
    relative: np.ndarray,
    scores: np.ndarray,
    base: np.ndarray,
    form: Form,
    limits: tuple[float, float],
    is_log: bool,
    spare: int,
) -> tuple[tuple[float, float, np.ndarray], np.ndarray, float]:
    """(limit, amplitude, shapes), how far each point is trusted [M], and the points' spread."""
    weights, trusted = base, np.ones(len(scores))
    for place in range(_ROUNDS):
        limit, amplitude, shapes = curve_search.search(
            relative, scores[None], weights, form, limits
        )
        fitted = limit + amplitude * form.basis(relative, shapes)[0]
        residuals = np.sqrt(base) * _residuals(scores, fitted, is_log)
        spread, before = _spread(residuals, spare), trusted
        trusted = np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(residuals), _TINY))
        # A curve's own height is its scatter on a logarithm: only the second search knows it.
        weights = base * trusted / (np.maximum(np.abs(fitted), _TINY) ** 2 if is_log else 1.0)
        if place and np.abs(trusted - before).max() < 1e-3:
            break
    return (float(limit[0]), float(amplitude[0]), shapes[0]), trusted, spread


def _spread(residuals: np.ndarray, spare: int) -> float:
    """Standard deviation of a point by the median of the residuals: one wild point is not in it."""
    inflated = 1.4826 * float(np.median(np.abs(residuals))) * np.sqrt(len(residuals) / spare)
    return max(inflated, _TINY)


def _noise(residuals: np.ndarray, trusted: np.ndarray, spare: int) -> float:
    """Standard deviation of a point: outlying ones count as far as they are trusted, and what that
    takes away is given back by the share of points that are trusted whole (Huber 1981, 7.6)."""
    squares = ((trusted * residuals) ** 2).sum() / spare
    return float(np.sqrt(max(squares, _TINY**2))) / max(float((trusted == 1).mean()), 0.3)


def _polished(
    relative: np.ndarray,
    scores: np.ndarray,
    base: np.ndarray,
    form: Form,
    limits: tuple[float, float],
    is_log: bool,
    spread: float,
    start: tuple[float, float, np.ndarray],
) -> tuple[float, float, np.ndarray]:
    """SciPy's robust least squares from where the grid ended; the start where it is no better."""
    limit, amplitude, shapes = start
    bounds = curve_forms.ranges(form, relative)
    head = [limit, amplitude] if form.has_limit else [amplitude]
    first = np.array([*head, *np.log(shapes)])
    low = np.array([*([limits[0]] if form.has_limit else []), -np.inf, *(b[0] for b in bounds)])
    high = np.array([*([limits[1]] if form.has_limit else []), np.inf, *(b[1] for b in bounds)])

    def unpacked(values: np.ndarray) -> tuple[float, float, np.ndarray]:
        linear = values[: len(head)]
        return (
            float(linear[0]) if form.has_limit else 0.0,
            float(linear[-1]),
            np.exp(values[len(head) :]),
        )

    def off(values: np.ndarray) -> np.ndarray:
        limit, amplitude, shapes = unpacked(values)
        fitted = limit + amplitude * form.basis(relative, shapes)
        return np.sqrt(base) * _residuals(scores, fitted, is_log)

    width = np.maximum(np.abs(first), 1e-3)
    inside = np.clip(first, low + 1e-9 * width, high - 1e-9 * width)
    try:
        found = optimize.least_squares(
            off, inside, bounds=(low, high), loss="soft_l1", f_scale=max(_HUBER * spread, _TINY),
            x_scale=width, max_nfev=60,
        )  # fmt: skip
    except ValueError:  # a residual that is not finite
        return start
    return unpacked(found.x) if np.isfinite(found.x).all() else start


def _draws(
    relative: np.ndarray,
    fitted: np.ndarray,
    deviations: np.ndarray,
    form: Form,
    limits: tuple[float, float],
    is_log: bool,
    spare: int,
    num_draws: int,
    seed: int | Sequence[int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits of curves made again: limit [D], amplitude [D], shapes [D, K]."""
    if not num_draws:
        return np.zeros(0), np.zeros(0), np.zeros((0, len(form.shapes)))
    generator = np.random.default_rng(seed)
    # The noise of so few points is not known either: inverse chi-square, as in Student's t.
    scale = np.sqrt(spare / generator.chisquare(spare, num_draws))[:, None]
    shaken = scale * deviations * generator.standard_normal((num_draws, len(fitted)))
    weights = 1 / deviations**2
    if is_log:
        positive = np.maximum(fitted, _TINY)
        return curve_search.search(
            relative, positive * np.exp(shaken), weights / positive**2, form, limits
        )
    return curve_search.search(relative, fitted + shaken, weights / weights.max(), form, limits)
