"""Leaving out the units of large populations: many hidden at once, corrected on a sample.

A pass for each (trial, unit) pair is exact, and what a session costs so grows with the square of
its units. `eval.leave_out=groups` deals every population into PARTS and hides one part at a time:
as many passes a trial whatever the number of units. That asks a little more than leaving out one
unit does. So a random sample of pairs is predicted exactly as well, in strata of about equal sums
of spikes and predicted spikes, in two phases. The first, a few pairs of each stratum, only says how
large the second has to be: its pairs are exact and speak for no others. The second is a fresh
sample of a size that was fixed before it was drawn. What the two predictions of its pairs differ
by, in nats, stands in the mean of a stratum for every pair that was not drawn, and its spread gives
the standard error of the sum. A sample that grew until its own spread looked small would stop
too early where few pairs hold most of the difference.

That sum is the pooled score's. What a single unit lacks the mean of a stratum does not tell.

Source: Cochran 1977, "Sampling techniques", sections 5.5 (allocation) and 7.2 (differences).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import require
from neurojax.evals import activity, protocols
from neurojax.evals.passes import Model
from neurojax.scores import metrics

WAYS = ("exact", "groups")
PARTS = 16  # of a population: a part takes a sixteenth of what a unit is predicted from
TARGET_SE = 0.0007  # bits/spike, of the correction; what it turned out to be is told beside it
_STRATA = 8
_PILOT = 128  # pairs of a stratum in the first phase, and the fewest of the second
_LN2 = math.log(2.0)


class LeftOut(NamedTuple):
    """A session's predictions of the test trials.

    Attributes:
        rates: task -> float32 [K, T, N], see `activity.predict_session`; exact in sampled pairs.
        apart: see `activity.predict_with_spread`.
        corrections: task -> float64 [K, N], nats that leaving out one unit adds to the loss of
            these rates, right in their sum; only of tasks whose units were hidden in parts.
        told: the same tasks -> what was done, for the record.
        parts: that units were hidden in; 0 where each was left out alone.
    """

    rates: dict[str, np.ndarray]
    apart: dict[str, np.ndarray] | None
    corrections: dict[str, np.ndarray]
    told: dict[str, dict[str, Any]]
    parts: int

    def told_in(self, blocks: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The blocks of tasks, each with what was done in it as `leave_out`."""
        return {
            task: {**block, "leave_out": self.told[task]} if task in self.told else block
            for task, block in blocks.items()
        }

    @property
    def notes(self) -> list[str]:
        """For readers of the session's scores, a line a task."""
        return [f"{task}: {_in_words(told)}" for task, told in self.told.items()]


def way(settings: Mapping[str, Any]) -> str:
    """`eval.leave_out`, "exact" of older configs; raises InputError for an unknown one."""
    found = settings.get("leave_out", WAYS[0])
    require(found in WAYS, f"eval.leave_out={found!r}; expected one of: {', '.join(WAYS)}")
    return found


def predict(
    model: Model,
    session: Session,
    protocol: protocols.Protocol,
    settings: Mapping[str, Any],
    seed: int,
) -> LeftOut:
    """Predicts every scored entry of the test trials, as `eval.leave_out` says.

    Args:
        model, session, protocol: as of `activity.predict_session`.
        settings: the `eval` block of a config, sound; `trials_per_pass` fits into memory.
        seed: of the parts and of the sample.
    """
    size = {"trials_per_pass": settings["trials_per_pass"], "protocol": protocol}
    parts = PARTS if way(settings) == "groups" else 0
    rates, apart = activity.predict_with_spread(model, session, parts=parts, seed=seed, **size)
    found = LeftOut(rates, apart, {}, {}, parts)
    trial_ids = session.trials_of(TEST)
    for task in rates if parts else ():
        if not protocol.task(task).hides.in_turn or not np.isfinite(rates[task]).any():
            continue

        def exact(trial: np.ndarray, unit: np.ndarray, task: str = task) -> np.ndarray:
            return activity.predict_pairs(model, session, task, trial_ids, trial, unit, **size)

        counts, _ = session.gather_trials(trial_ids)
        found.corrections[task], told = corrected(rates[task], counts, exact, seed)
        found.told[task] = {"parts": parts, **told}
    return found


def corrected(
    rates: np.ndarray,
    counts: np.ndarray,
    exact: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seed: int,
    target_se: float | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """What exact predictions of a sample of pairs say of all pairs.

    Args:
        rates: float [K, T, N], expected spikes per bin, NaN where not scored; sampled pairs become
            exact, in place.
        counts: [K, T, N], spikes.
        exact: (trial int [P], unit int [P]) -> float [P, T], the exact rates of these pairs.
        seed: of the sample.
        target_se: bits/spike, standard error that the sample is made large enough for, as far as
            its first phase can tell; default TARGET_SE.

    Returns:
        (nats to add to the loss of the rates, float64 [K, N], zero of sampled pairs and of units
        without a spike; {"pairs", "exact_pairs", "correction_bps", "correction_se_bps"}, the last
        two of the pooled score). Where an exact prediction is not finite nothing is corrected,
        these two are None, and "correction_reason" says why: its rates stay in `rates`, for which
        no score is given.
    """
    scored = np.isfinite(rates)
    spikes = np.where(scored, counts, 0).sum(1, dtype=np.int64)  # [K, N]
    population = np.argwhere(scored.any(1) & (spikes.sum(0) > 0))  # [pairs, 2]
    correction, total = np.zeros(spikes.shape), max(_LN2 * int(spikes.sum()), 1e-9)
    if not len(population):
        return correction, _told(0, 0, 0.0, 0.0)
    size = spikes + np.where(scored, rates, 0).sum(1, dtype=np.float64)
    strata = _strata(population, size[tuple(population.T)], np.random.default_rng([seed, 1]))
    first = _differences(rates, counts, [stratum[:_PILOT] for stratum in strata], exact)
    if not np.isfinite(np.concatenate(first)).all():
        return correction, _told(len(population), sum(map(len, first)))
    rest = [stratum[_PILOT:] for stratum in strata]
    number, spread = np.asarray([len(pairs) for pairs in rest]), _spread(first)
    target = TARGET_SE if target_se is None else target_se
    taken = _allocated(number, np.minimum(_PILOT, number), spread, (0.9 * target * total) ** 2)
    second = _differences(
        rates, counts, [pairs[:few] for pairs, few in zip(rest, taken, strict=True)], exact
    )
    num_exact = sum(map(len, first)) + int(taken.sum())
    if not np.isfinite(np.concatenate(second)).all():
        return correction, _told(len(population), num_exact)
    mean = np.asarray([np.mean(own) if len(own) else 0.0 for own in second])
    for pairs, few, value in zip(rest, taken, mean, strict=True):
        correction[tuple(pairs[few:].T)] = value
    nats = sum(float(np.sum(own)) for own in first) + float(np.dot(number, mean))
    se = math.sqrt(_variance(number, taken, _spread(second)))
    return correction, _told(len(population), num_exact, -nats / total, se / total)


def _told(
    pairs: int, exact_pairs: int, change: float | None = None, se: float | None = None
) -> dict[str, Any]:
    told = {
        "pairs": pairs,
        "exact_pairs": exact_pairs,
        "correction_bps": change,
        "correction_se_bps": se,
    }
    reason = "a pair that was left out alone has no finite prediction"
    return told if change is not None else {**told, "correction_reason": reason}


def _in_words(told: Mapping[str, Any]) -> str:
    hidden = f"units are hidden in {told['parts']} parts of each population, one at a time"
    if told["correction_bps"] is None:
        return f"{hidden}; not corrected: {told['correction_reason']}"
    return (
        f"{hidden}; {told['exact_pairs']:,} of {told['pairs']:,} (trial, unit) pairs, left out "
        f"alone, correct the pooled score by {told['correction_bps']:+.4f} bits/spike, standard "
        f"error {told['correction_se_bps']:.4f}"
    )


def _strata(pairs: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Pairs [P, 2] in strata of about equal sums of `size`, float [P], each in a random order."""
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(size[order])
    stratum = np.minimum((reached / max(reached[-1], 1e-9) * _STRATA).astype(int), _STRATA - 1)
    return [
        rng.permutation(pairs[order[stratum == number]]) for number in np.unique(stratum).tolist()
    ]


def _spread(differences: list[np.ndarray]) -> np.ndarray:
    """Standard deviation of each stratum's, float64; 0 of fewer than two."""
    return np.asarray([np.std(own, ddof=1) if len(own) > 1 else 0.0 for own in differences])


def _variance(number, taken, spread) -> float:
    """Of a total, from a sample of each stratum."""
    left = 1 - taken / np.maximum(number, 1)
    return float(np.sum(number**2 * left * spread**2 / np.maximum(taken, 1)))


def _allocated(number, least, spread, variance: float) -> np.ndarray:
    """Pairs of each stratum that give a total of this variance, int: most where they vary most."""
    needed = number * spread * np.sum(number * spread)
    needed = needed / (variance + float(np.sum(number * spread**2)) + 1e-30)
    wanted = np.clip(np.ceil(needed).astype(int), least, number)
    while _variance(number, wanted, spread) > variance and np.any(wanted < number):
        needed = 1.25 * needed + 1  # where some strata are taken whole, others make up for them
        wanted = np.clip(np.ceil(needed).astype(int), least, number)
    return wanted


def _differences(rates, counts, pairs: list[np.ndarray], exact) -> list[np.ndarray]:
    """`_replaced` of the pairs [P, 2] of every stratum, in one go."""
    found = _replaced(rates, counts, np.concatenate(pairs), exact)
    return np.split(found, np.cumsum([len(own) for own in pairs])[:-1])


def _replaced(rates: np.ndarray, counts: np.ndarray, pairs: np.ndarray, exact) -> np.ndarray:
    """Makes the rates of pairs [P, 2] exact; by how many nats each loss so rises, float64 [P]."""
    trial, unit = pairs.T
    if not len(pairs):
        return np.zeros(0)
    before = rates[trial, :, unit].astype(np.float64)  # [P, T]
    scored = np.isfinite(before)
    after = np.where(scored, exact(trial, unit), np.nan)
    rates[trial, :, unit] = after
    spikes = np.where(scored, counts[trial, :, unit], 0)

    def nats(of_pairs: np.ndarray) -> np.ndarray:
        clipped = np.maximum(np.where(scored, of_pairs, 1.0), metrics.MIN_RATE)
        return np.where(scored, clipped - spikes * np.log(clipped), 0.0).sum(1)

    with np.errstate(invalid="ignore", over="ignore"):  # a rate of infinity is told of by its nats
        return nats(after) - nats(before)
