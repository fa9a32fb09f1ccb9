"""Learning curves over any axis: which form they follow, and what may be said beyond the data.

    curve = scaling.points(sizes, scores)
    scaling.compare(curve)                 # forms, by the largest sizes, which the fits did not see
    scaling.forecast(curve, at=1000)       # an interval; a number only within 10 times the data

The smallest sizes often follow no law (Hestness et al. 2017), so each form is also fitted without
the smallest quarter and half of the sizes. A forecast rests on all of these that the held-out
sizes allow, each by its weight, and is as much wider as they missed: what is not known beyond the
data is mostly the form. Runs of nested subsets, or over one set of test trials, share their luck;
an interval here knows only the scatter around the curve.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.analysis import curve_fit, curve_forms
from neurojax.analysis.curve_fit import Fit, Points, points
from neurojax.errors import require

__all__ = [
    "Candidate", "Forecast", "HeldOut", "candidates", "check", "compare", "forecast", "points",
    "split",
]  # fmt: skip

MOST_BEYOND = 10.0  # times the largest size: a number is given up to here
LEVEL = 0.9
ANY = (-np.inf, np.inf)  # what a limit may be
_LEAST_WEIGHT = 0.02
_LEFT_OUT = (0.0, 0.25, 0.5)  # of the smallest sizes
_LUCK = 1.5  # misses up to so many standard deviations widen nothing
_ALIKE = 0.02  # of the gain over the data: forms this near are not told apart


class HeldOut(NamedTuple):
    """How one form, fitted without the largest sizes, meets them.

    Attributes:
        form: its name.
        first: smallest size that it was fitted to.
        error: root mean square error on the held-out points, in the scores' unit; None where
            there are too few points to fit it.
        bias: mean of predicted less observed.
        weight: share in a forecast; all add up to 1.
        widened: how many times wider its interval becomes, by its misses.
    """

    form: str
    first: float
    error: float | None
    bias: float | None
    weight: float
    widened: float


class Candidate(NamedTuple):
    """A form fitted to all points from a size on, with its share and its widening."""

    fit: Fit
    first: float
    weight: float
    widened: float


class Forecast(NamedTuple):
    """What is expected at a size.

    Attributes:
        size: in units of the axis.
        times_beyond: size over the largest of the data.
        value: median, None where the size is more than 10 times beyond the data.
        low, high: of the curve's interval.
        run_low, run_high: of one new run's score, its scatter around the curve included.
        level: of both intervals.
        words: one sentence.
    """

    size: float
    times_beyond: float
    value: float | None
    low: float
    high: float
    run_low: float
    run_high: float
    level: float
    words: str


def num_held_out(curve: Points) -> int:
    """How many of the largest sizes are held out: a quarter, at least one, and four stay."""
    distinct = len(np.unique(curve.sizes))
    return max(1, min(round(distinct / 4), distinct - 4))


def split(curve: Points, num_largest: int) -> tuple[Points, Points]:
    """(points of the smaller sizes, points of so many largest ones).

    Raises:
        InputError: fewer than three sizes would be left, or none would be held out.
    """
    distinct = np.unique(curve.sizes)
    require(
        0 < num_largest <= len(distinct) - 3,
        f"{num_largest} of {len(distinct)} different sizes to hold out; expected at least one, and "
        "three left to fit: add runs of other sizes",
    )
    small = curve.sizes < distinct[-num_largest]
    return _part(curve, small), _part(curve, ~small)


def compare(
    curve: Points,
    forms: Sequence[str] = curve_forms.DEFAULT,
    *,
    num_largest: int | None = None,
    scale: str = "auto",
    limits: tuple[float, float] = ANY,
    seed: int = 0,
) -> list[HeldOut]:
    """Forms from the best to the worst by their error on the largest sizes, none of which they saw.

    The row `no_change` says that the score of the largest size seen stays: a form that is not
    better has learned nothing.

    Args:
        curve: of `points`.
        forms: names of `curve_forms.FORMS`.
        num_largest: sizes held out; default `num_held_out`.
        scale, limits: see `curve_fit.fit`.
        seed: of the draws that say how far a form may miss.

    Raises:
        InputError: too few sizes, or a name that is none.
    """
    seen, held_out = split(curve, num_held_out(curve) if num_largest is None else num_largest)
    fits, rows = [], []
    for form in map(curve_forms.named, forms):
        parts = _starts(seen, form)
        fits += [(one, _fit(one, form, scale, limits, 100, (seed, 0))) for one in parts]
        if not parts:
            rows.append(HeldOut(form.name, float(seen.sizes[0]), None, None, 0.0, 1.0))
    require(
        fits, f"{len(seen.sizes)} points are left to fit, too few for {', '.join(forms)}; add runs"
    )
    told = [_met(one, held_out, float(np.ptp(seen.scores))) for _, one in fits]
    logs = np.array([density for _, density, _ in told])
    weights = np.exp(logs - logs.max())
    for (part, one), (miss, _, widened), share in zip(fits, told, weights, strict=True):
        weight = float(share / weights.sum())
        facts = (float(part.sizes[0]), _rms(miss), float(miss.mean()), weight, widened)
        rows.append(HeldOut(one.form.name, *facts))
    last = seen.scores[seen.sizes == seen.sizes.max()].mean() - held_out.scores
    no_change = (float(seen.sizes.max()), _rms(last), float(last.mean()), 0.0, 1.0)
    rows.append(HeldOut("no_change", *no_change))
    return sorted(rows, key=lambda row: np.inf if row.error is None else row.error)


def candidates(
    curve: Points,
    forms: Sequence[str] = curve_forms.DEFAULT,
    *,
    scale: str = "auto",
    limits: tuple[float, float] = ANY,
    num_draws: int = 1000,
    seed: int = 0,
) -> list[Candidate]:
    """Forms that the held-out sizes allow, fitted to all points from their first size on.

    Of a single form and a curve too short to hold anything out, the form itself.
    """
    single = len(forms) == 1
    rows = []
    if not single or len(np.unique(curve.sizes)) > curve_forms.named(forms[0]).num_parameters + 1:
        rows = [
            row
            for row in compare(curve, forms, scale=scale, limits=limits, seed=seed)
            if row.weight >= _LEAST_WEIGHT
        ]
    if not rows:
        form = curve_forms.named(forms[0])
        fitted = _fit(curve, form, scale, limits, num_draws, (seed, 1))
        return [Candidate(fitted, float(curve.sizes[0]), 1.0, 1.0)]
    total, found = sum(row.weight for row in rows), []
    for place, row in enumerate(rows):
        part = _part(curve, curve.sizes >= row.first)
        draws = max(round(num_draws * row.weight / total), 20)
        form = curve_forms.named(row.form)
        fitted = _fit(part, form, scale, limits, draws, (seed, 1 + place))
        found.append(Candidate(fitted, row.first, row.weight / total, row.widened))
    return found


def forecast(
    curve: Points,
    at: float,
    forms: Sequence[str] = curve_forms.DEFAULT,
    *,
    level: float = LEVEL,
    scale: str = "auto",
    limits: tuple[float, float] = ANY,
    seed: int = 0,
) -> Forecast:
    """What the curve is expected to be at a size.

    Args:
        curve: of `points`.
        at: the size.
        forms: names of `curve_forms.FORMS`.
        level: of the intervals.
        scale, limits: see `curve_fit.fit`.
        seed: of the draws.

    Returns:
        `value` is None where the size is over 10 times the largest of the data: there the form
        decides, not the data, and only an interval is given.

    Raises:
        InputError: a size that is none, too few points.
    """
    found = candidates(curve, forms, scale=scale, limits=limits, seed=seed)
    return forecast_of(found, curve, at, level, seed)


def forecast_of(
    found: Sequence[Candidate], curve: Points, at: float, level: float = LEVEL, seed: int = 0
) -> Forecast:
    """The forecast of `candidates` of a curve; arguments as of `forecast`."""
    require(
        isinstance(at, int | float) and np.isfinite(at) and at > 0,
        f"a forecast at {at!r}; expected a size over 0",
    )
    generator = np.random.default_rng((seed, 99))
    drawn = [_drawn(one, at) for one in found]
    noisy = [_with_noise(one, values, generator) for one, values in zip(found, drawn, strict=True)]
    together = np.concatenate(drawn)
    low, high = curve_fit.between(together, level)
    run_low, run_high = curve_fit.between(np.concatenate(noisy), level)
    beyond = at / float(curve.sizes.max())
    interval = f"{low:.4g} to {high:.4g} ({100 * level:g} % interval of the curve)"
    if beyond <= MOST_BEYOND * (1 + 1e-9):
        value = float(np.median(together))
        words = f"at {at:g}: {value:.4g}, {interval}"
        return Forecast(float(at), beyond, value, low, high, run_low, run_high, level, words)
    names = list(dict.fromkeys(one.fit.form.name for one in found))
    words = (
        f"at {at:g}, {beyond:.3g} times the largest size of the data: {interval} and no single "
        f"number, for so far out the form decides ({', '.join(names)}), not the data"
    )
    return Forecast(float(at), beyond, None, low, high, run_low, run_high, level, words)


def check(
    curve: Points,
    forms: Sequence[str] = curve_forms.DEFAULT,
    *,
    level: float = LEVEL,
    scale: str = "auto",
    limits: tuple[float, float] = ANY,
    seed: int = 0,
) -> list[tuple[float, float, Forecast]]:
    """Forecasts from the smaller half of the sizes, each beside what was observed.

    Returns:
        (size, mean observed score, forecast) of each size of the larger half; empty where the
        smaller half has fewer than five sizes.
    """
    distinct = np.unique(curve.sizes)
    num_seen = (len(distinct) + 1) // 2
    if num_seen < 5:
        return []
    seen, held_out = split(curve, len(distinct) - num_seen)
    found = candidates(seen, forms, scale=scale, limits=limits, seed=seed)
    told = []
    for size in np.unique(held_out.sizes):
        observed = float(held_out.scores[held_out.sizes == size].mean())
        told.append((float(size), observed, forecast_of(found, seen, float(size), level, seed)))
    return told


def _part(curve: Points, chosen: np.ndarray) -> Points:
    errors = None if curve.errors is None else curve.errors[chosen]
    return Points(curve.sizes[chosen], curve.scores[chosen], errors)


def _fit(
    curve: Points,
    form: curve_forms.Form,
    scale: str,
    limits: tuple[float, float],
    num_draws: int,
    seed: tuple[int, int],
) -> Fit:
    return curve_fit.fit(curve, form, scale=scale, limits=limits, num_draws=num_draws, seed=seed)


def _starts(curve: Points, form: curve_forms.Form) -> list[Points]:
    """The points from several sizes on, as far as enough are left for the form and its scatter."""
    distinct = np.unique(curve.sizes)
    firsts = {distinct[int(share * len(distinct))] for share in _LEFT_OUT}
    parts = [_part(curve, curve.sizes >= first) for first in sorted(firsts)]
    whole, *fewer = [part for part in parts if curve_fit.has_enough(part, form)] or [None]
    enough = [part for part in fewer if len(np.unique(part.sizes)) > form.num_parameters]
    return [] if whole is None else [whole, *enough]


def _met(found: Fit, held_out: Points, gain: float) -> tuple[np.ndarray, float, float]:
    """How a fit meets points that it did not see.

    Returns:
        misses [M]; log density of the points under the fit's own draws and scatter; and how many of
        these standard deviations it missed by, 1 where that may be luck.
    """
    miss = curve_fit.predict(found, held_out.sizes) - held_out.scores
    drawn = curve_fit.predict_draws(found, held_out.sizes)  # [D, M]
    low, high = np.quantile(drawn, [0.16, 0.84], axis=0)  # few points: the variance is infinite
    own = ((high - low) / 2) ** 2 + _in_scores(found, held_out.scores) ** 2
    variance = np.maximum(own + (_ALIKE * gain) ** 2, 1e-300)
    # Misses at neighbouring sizes are mostly one deviation of the form, seen again: M of them count
    # as the root of M, neither as all nor as one.
    densities = -0.5 * miss**2 / variance - 0.5 * np.log(variance)
    density = float(densities.sum() / np.sqrt(len(miss)))
    times = float(np.sqrt((miss**2 / np.maximum(own, 1e-300)).mean()))
    return miss, density, times if times > _LUCK else 1.0


def _in_scores(found: Fit, scores: np.ndarray | float) -> np.ndarray | float:
    """Scatter of a point in the scores' unit, where they are `scores`."""
    return found.noise * (np.abs(scores) if found.is_log else 1.0)


def _drawn(one: Candidate, at: float) -> np.ndarray:
    """Drawn curves at a size, [D], as far from their median as the misses ask."""
    drawn = curve_fit.predict_draws(one.fit, [at])[:, 0]
    middle = np.median(drawn)
    return middle + one.widened * (drawn - middle)


def _with_noise(one: Candidate, drawn: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Drawn curves [D], each with the scatter of one run."""
    scale = np.sqrt(one.fit.spare / generator.chisquare(one.fit.spare, len(drawn)))
    scatter = _in_scores(one.fit, drawn) * scale
    return drawn + scatter * generator.standard_normal(len(drawn))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
