"""How well whole distributions of counts, and not only their means, are predicted.

Of every predicted mean a likelihood makes a distribution of counts. Two questions are asked of it
on trials that trained nothing:

    its log-likelihood, beside that of Poisson counts of the very same means
    its PIT histogram: how often counts fall into each tenth of what was predicted; flat where
        distributions mean what they say, high at the right end where counts are burstier

A likelihood with a ceiling says nothing of counts above it: there both it and Poisson are asked for
the probability of the ceiling or more. The choice between likelihoods is made on validation trials.

Source: Czado, Gneiting and Held 2009, section 2 (PIT of counts, without random numbers).

Letters: K trials, T bins, N units.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals import passes
from neurojax.scores import bootstrap, metrics

TENTHS = np.linspace(0, 1, 11)
POISSON = "poisson"
_LN2 = math.log(2.0)


class RoundedGaussian(NamedTuple):
    """Counts that are a Gaussian value rounded, all below one half to zero."""

    mean: np.ndarray
    spread: np.ndarray

    def cdf(self, counts: np.ndarray) -> np.ndarray:
        at = scipy.stats.norm.cdf((counts + 0.5 - self.mean) / self.spread)
        return np.where(counts < 0, 0.0, at)

    def logpmf(self, counts: np.ndarray) -> np.ndarray:
        high = (counts + 0.5 - self.mean) / self.spread
        low = np.where(counts > 0, (counts - 0.5 - self.mean) / self.spread, -np.inf)
        # In the upper tail as in the lower one, where small probabilities keep their digits.
        high, low = np.where(low > 0, -low, high), np.where(low > 0, -high, low)
        log_high, log_low = scipy.stats.norm.logcdf(high), scipy.stats.norm.logcdf(low)
        return log_high + np.log1p(-np.exp(np.minimum(log_low - log_high, -1e-15)))


def _poisson(rates: np.ndarray, rows) -> Any:
    return scipy.stats.poisson(rates)


def _negative_binomial(rates: np.ndarray, rows) -> Any:
    (log_dispersion,) = rows.values()
    size = np.exp(-np.clip(np.float64(log_dispersion), -12.0, 7.0))
    return scipy.stats.nbinom(size, size / (size + rates))


def _binomial(rates: np.ndarray, rows) -> Any:
    # Certainty is a matter of rounding.
    return scipy.stats.binom(rows["ceiling"], np.minimum(rates / rows["ceiling"], 1 - 1e-6))


def _gaussian(rates: np.ndarray, rows) -> Any:
    return RoundedGaussian(rates, np.exp(np.clip(np.float64(rows["log_spread"]), -4.0, 6.0)))


class Family(NamedTuple):
    """Attributes:
    made: (expected spikes per bin [..., N], rows of the head) -> a distribution, as SciPy has them.
    ceiling: of the rows, [N] or a number: all counts from it on are one outcome; None without.
    """

    made: Callable[[np.ndarray, Mapping[str, np.ndarray]], Any]
    ceiling: Callable[[Mapping[str, np.ndarray]], Any] | None = None


# Of the heads of counts, by name; a test holds them to `neurojax.heads`.
FAMILIES = {
    POISSON: Family(_poisson),
    "negative_binomial": Family(_negative_binomial),
    "negative_binomial_shared": Family(_negative_binomial),
    "binomial": Family(_binomial, lambda rows: rows["ceiling"]),
    "bernoulli": Family(_poisson, lambda rows: 1),  # whether there is a spike
    "gaussian_counts": Family(_gaussian),
}


class Judged(NamedTuple):
    """What a distribution makes of the counts of one trial.

    Attributes:
        log_likelihood: nats, over the scored entries.
        pit: [10], of these entries the share in each tenth, times their number.
    """

    log_likelihood: float
    pit: np.ndarray


def judged(distribution, counts: np.ndarray, ceiling=None) -> Judged:
    """Log-likelihood and PIT histogram of counts [E] under a distribution of shape [E].

    Args:
        distribution: has `logpmf`, `cdf` and, under a ceiling, `logsf`.
        counts: spikes per bin.
        ceiling: [E] or a number, from which on all counts are one outcome; None without.
    """
    if ceiling is None:
        log_mass, upper = distribution.logpmf(counts), distribution.cdf(counts)
        lower = distribution.cdf(counts - 1)
    else:
        counts, full = np.minimum(counts, ceiling), counts >= ceiling
        log_mass = np.where(full, distribution.logsf(ceiling - 1), distribution.logpmf(counts))
        upper = np.where(full, 1.0, distribution.cdf(counts))
        lower = distribution.cdf(counts - 1)
    # An entry is spread evenly over what its count takes of the unit interval.
    width = np.maximum(upper - lower, 1e-300)
    below = [np.clip((tenth - lower) / width, 0, 1).sum() for tenth in TENTHS[1:-1]]
    return Judged(float(log_mass.sum()), np.diff([0.0, *below, len(counts)]))


def of_task(
    head: str,
    rows: Mapping[str, np.ndarray],
    rates: np.ndarray,
    counts: np.ndarray,
    weights: np.ndarray,
) -> dict[str, Any]:
    """A head's distributions on the counts of some trials, beside Poisson's of the same means.

    Args:
        head: of FAMILIES.
        rows: of the session's units, float [N], or [] of the session.
        rates: float [K, T, N], expected spikes per bin, NaN where not scored.
        counts: [K, T, N].
        weights: float [D, K] of `bootstrap.trial_weights`, D of 0 for no interval.

    Returns:
        `head`, `entries`, `at_ceiling` (share of them that reach the ceiling; 0 without one),
        `nats_per_entry` (log-likelihood, the constant included), `pit` ([10] shares) and, beside
        Poisson, `poisson_nats_per_entry`, `poisson_pit`, `over_poisson` (bits/spike) with
        `over_poisson_ci95` over trials; `trials`: of each `spikes` and `nats`, `poisson_nats`.
    """
    family = FAMILIES[head]
    both = {head: family, POISSON: Family(_poisson, family.ceiling)}
    scored = np.isfinite(rates)
    found: dict[str, list[Judged]] = {name: [] for name in both}
    reached = 0
    for trial, entries in enumerate(scored):
        # One trial at a time: a distribution takes many times the memory of its means.
        unit = np.nonzero(entries)[1]
        own = {name: row[unit] if np.ndim(row) else row for name, row in rows.items()}
        ceiling = None if family.ceiling is None else family.ceiling(own)
        spikes = counts[trial][entries].astype(np.int64)
        expected = np.maximum(rates[trial][entries].astype(np.float64), metrics.MIN_RATE)
        reached += 0 if ceiling is None else int((spikes >= ceiling).sum())
        for name, one in both.items():
            found[name].append(judged(one.made(expected, own), spikes, ceiling))
    number, spikes = int(scored.sum()), np.where(scored, counts, 0).sum((1, 2)).astype(float)
    nats = {name: np.asarray([one.log_likelihood for one in each]) for name, each in found.items()}
    pit = {name: np.sum([one.pit for one in each], axis=0) / number for name, each in found.items()}
    block = {
        "head": head,
        "entries": number,
        "at_ceiling": reached / number,
        "nats_per_entry": float(nats[head].sum() / number),
        "pit": _rounded(pit[head]),
        "trials": {"spikes": [int(value) for value in spikes], "nats": _rounded(nats[head], 8)},
    }
    if head == POISSON:
        return block
    block["trials"]["poisson_nats"] = _rounded(nats[POISSON], 8)
    block |= {
        "poisson_nats_per_entry": float(nats[POISSON].sum() / number),
        "poisson_pit": _rounded(pit[POISSON]),
    }
    return block | over_poisson([block], weights)


def over_poisson(blocks: Sequence[Mapping[str, Any]], weights: np.ndarray) -> dict[str, Any]:
    """`over_poisson`, bits/spike that the own likelihood gains over Poisson's of the same means on
    the trials of some blocks, with `over_poisson_ci95`; null with a reason without a spike."""
    trials = [block["trials"] for block in blocks]
    spikes = np.concatenate([one["spikes"] for one in trials]).astype(float)
    gains = [np.subtract(one["nats"], one["poisson_nats"]) for one in trials]
    gain = np.concatenate(gains) / _LN2
    if not spikes.sum():
        return {"over_poisson": None, "over_poisson_reason": "no spike in the scored entries"}
    value = float(gain.sum() / spikes.sum())
    draws = metrics.ratio(weights @ gain, weights @ spikes)
    _, ends = bootstrap.interval(draws, value)
    if np.isfinite(ends).all():
        return {"over_poisson": value, "over_poisson_ci95": list(ends)}
    reason = {"over_poisson_ci95_reason": "fewer than two draws"}
    return {"over_poisson": value, "over_poisson_ci95": None, **reason}


def _rounded(values: np.ndarray, digits: int = 5) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def require_counts(head: str) -> None:
    """Raises InputError for a head whose mean is no expected count."""
    require(
        head in FAMILIES,
        f"head.name={head}: bits per spike need head.name=poisson, or one of "
        f"{', '.join(name for name in FAMILIES if name != POISSON)}",
    )


def of_session(
    model: passes.Model,
    session: Session,
    predictions: Mapping[str, np.ndarray],
    on_validation: Callable[[str], np.ndarray],
    boot: Mapping[str, int],
) -> dict[str, Any]:
    """The `likelihood` block of a session in evaluation.json.

    Args:
        model: what is evaluated, a `train.predictor.Predictor`.
        session: the recording.
        predictions: task -> float [K, T, N], expected spikes per bin of the test trials.
        on_validation: of a task the same of the validation trials, see `activity.on_validation`.
        boot: `seed` and `num_boot` of the bootstrap over trials.

    Returns:
        {"likelihood": {"task", "test": see `of_task`, "validation": the same of the validation
        trials, of heads beside Poisson, where an entry of them is scored}}; {} without an
        activity task.
    """
    task = next((name for name in predictions if np.isfinite(predictions[name]).any()), None)
    if task is None:
        return {}
    head = model.recipe.head
    rows = model.rows_of_head(session.session_id) if head != POISSON else {}

    def on(split: int, rates: np.ndarray) -> dict[str, Any]:
        counts, _ = session.gather_trials(session.trials_of(split))
        weights = bootstrap.trial_weights(len(counts), boot["num_boot"], seed=boot["seed"])
        return of_task(head, rows, rates, counts, weights)

    block = {"task": task, "test": on(TEST, predictions[task])}
    if head != POISSON and len(session.trials_of(VALIDATION)):
        rates = on_validation(task)
        if np.isfinite(rates).any():
            block["validation"] = on(VALIDATION, rates)
    return {"likelihood": block}


def chosen(evaluation: Mapping[str, Any], *, num_boot: int = 500) -> dict[str, Any] | None:
    """Which likelihood the validation trials of all sessions choose for a run's own means.

    Returns:
        {"head", "over_poisson", "over_poisson_ci95"}: the head of the run where its likelihood is
        above Poisson's by more than the interval over trials, else "poisson"; None of a run
        with a Poisson head.
    """
    blocks = [
        (session.get("likelihood") or {}).get("validation")
        for session in evaluation["sessions"].values()
    ]
    blocks = [block for block in blocks if block]
    if not blocks:
        return None
    number = sum(len(block["trials"]["spikes"]) for block in blocks)
    found = over_poisson(blocks, bootstrap.trial_weights(number, num_boot, seed=0))
    ends = found.get("over_poisson_ci95")
    return {"head": blocks[0]["head"] if ends and ends[0] > 0 else POISSON, **found}


def line(evaluation: Mapping[str, Any]) -> str:
    """What a terminal is told of the choice; "" of a run with a Poisson head."""
    found = chosen(evaluation)
    if found is None or found["over_poisson"] is None:
        return ""
    ends = found["over_poisson_ci95"]
    within = f" [{ends[0]:+.4f}, {ends[1]:+.4f}]" if ends else ""
    told = f"likelihood: {head_of(evaluation)} {found['over_poisson']:+.4f}{within} bits/spike over"
    return (
        f"{told} Poisson counts of the same means, validation trials, 95 % over trials; chosen: "
        f"{found['head']}"
    )


def head_of(evaluation: Mapping[str, Any]) -> str:
    """The head that made a record; poisson where it does not say."""
    for session in evaluation["sessions"].values():
        if session.get("likelihood"):
            return session["likelihood"]["test"]["head"]
    return POISSON
