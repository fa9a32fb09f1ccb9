"""What every baseline starts from: one session's splits as dense arrays over its scored units."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals import protocols
from neurojax.evals.protocols import MTM, Protocol

PARTS = (VALIDATION, TEST)  # what is predicted
# An average over fewer of its bins would be more noise than signal, and is drawn to what is
# expected.
LEAST_OBSERVED = 0.5


class Fit(NamedTuple):
    """What one baseline makes of one task.

    Attributes:
        rates: VALIDATION and TEST -> float [K, T, n], spikes per bin of the scored units.
        chosen: what validation chose, JSON-ready, times in seconds.
    """

    rates: Mapping[int, np.ndarray]
    chosen: Mapping[str, Any]


Fitted = Mapping[str, Fit]  # task -> its fit


@dataclasses.dataclass(frozen=True)
class Fold:
    """One split, padded to its longest trial.

    Attributes:
        counts: float32 [K, T, n], zero where padded or not observed.
        bin_valid: bool [K, T].
        hidden_bins: bool [K, T], what the forward task hides.
        scored: kind of task -> bool [K, T, n].
        observed: bool [K, T, n], False where padded; None where all units were, throughout.
    """

    counts: np.ndarray
    bin_valid: np.ndarray
    hidden_bins: np.ndarray
    scored: Mapping[str, np.ndarray]
    observed: np.ndarray | None = None

    @property
    def entries(self) -> np.ndarray:
        """Entries that count, bool [K, T, n], or [K, T, 1] where all units were observed."""
        return self.bin_valid[..., None] if self.observed is None else self.observed

    @property
    def num_entries(self) -> np.ndarray:
        """Bins in which each unit counts, int64 [n] or [1]; at least 1."""
        return np.maximum(self.entries.sum((0, 1)), 1)


@dataclasses.dataclass(frozen=True)
class Folds:
    """The three splits of a session over its n scored units; tasks go by their kind.

    Attributes:
        session: the recording.
        units: int64 [n], positions of the scored units in the session.
        groups: kind of task -> (visible, scored) of each population it asks about, positions in
            `units`; a scored unit that is visible never sees itself.
        past_unseen: bool [n], units whose past the forward task does not show.
        mean: float64 [n], spikes per bin in train.
        aligned: whether trials are windows around an event, so that a PSTH means something.
        parts: TRAIN, VALIDATION, TEST -> Fold.
    """

    session: Session
    units: np.ndarray
    groups: Mapping[str, list[tuple[np.ndarray, np.ndarray]]]
    past_unseen: np.ndarray
    mean: np.ndarray
    aligned: bool
    parts: Mapping[int, Fold]


def make_folds(session: Session, tasks: tuple[str, ...], protocol: Protocol = MTM) -> Folds:
    """The folds of one session.

    Args:
        tasks: kinds of task, of which the protocol has one each.
        protocol: what is hidden.

    Raises:
        InputError: a split is empty or no unit has a train spike.
    """
    for split, name in enumerate(SPLIT_NAMES):
        require(
            len(session.trials_of(split)),
            f"session {session.session_id} has no {name} trial; baselines are fitted on "
            "train, tuned on "
            "validation and scored on test, so convert it with a split that has all three",
        )
    name_of = {protocol.tasks[name].kind: name for name in protocol.activity_tasks}
    units = np.flatnonzero(protocols.scored_units(session, protocol))
    require(
        len(units),
        f"session {session.session_id} has no unit with a spike in its train trials; check "
        "its counts",
    )
    parts = {}
    for split in (TRAIN, VALIDATION, TEST):
        trial_ids = session.trials_of(split)
        counts, bin_valid = session.gather_trials(trial_ids)
        scored = {}
        if split != TRAIN:
            scored = {
                k: protocols.scored_entries(session, name_of[k], trial_ids, protocol)[:, :, units]
                for k in tasks
            }
        hidden = protocols.forward_bins(session, trial_ids, protocol)
        counts = counts[:, :, units].astype(np.float32)
        observed = _observed(session, trial_ids, units, bin_valid)
        parts[split] = Fold(counts, bin_valid, hidden, scored, observed)
    groups = {}
    for kind, name in name_of.items():
        asked = protocols.questions(session, name, protocol)
        places = ((np.flatnonzero(q.visible[units]), np.flatnonzero(q.asked[units])) for q in asked)
        groups[kind] = list(places)
    unseen = np.zeros(len(units), bool)
    if "forward" in tasks and protocol.tasks[name_of["forward"]].shows != "all":
        unseen = protocols.held_out_units(session, protocol)[units]
    mean, aligned = session.mean_counts()[units], windows_are_aligned(session)
    return Folds(session, units, groups, unseen, mean, aligned, parts)


def _observed(session, trial_ids, units, bin_valid):
    """`Fold.observed` of some trials."""
    if session.validity is None:
        return None
    observed = session.entry_valid(trial_ids)[:, :, units]
    # A split whose trials were observed throughout goes the way of a recording that was.
    return None if (observed == bin_valid[..., None]).all() else observed


def windows_are_aligned(session: Session) -> bool:
    """False for windows cut from a continuous recording (`window_s` in `info`)."""
    return not session.info.get("window_s")


def padded_psth(psth: np.ndarray, num_bins: int) -> np.ndarray:
    """PSTH [T of train, n] cut or extended (by its last bin) to [num_bins, n]."""
    extra = max(num_bins - len(psth), 0)
    return np.concatenate([psth, np.repeat(psth[-1:], extra, 0)])[:num_bins]


def psth_of_trials(psth: np.ndarray, fold: Fold) -> np.ndarray:
    """PSTH [T of train, n] beside the counts of every trial of a split, [K, T, n]."""
    return np.broadcast_to(padded_psth(psth, fold.counts.shape[1]), fold.counts.shape)


def surplus(fold: Fold, psth: np.ndarray) -> np.ndarray:
    """Counts minus PSTH, float32 [K, T, n]; zero, as expected, where padded or not observed."""
    expected = padded_psth(psth, fold.counts.shape[1]).astype(np.float32)
    return np.where(fold.entries, fold.counts - expected, np.float32(0))


def smooth(
    values: np.ndarray,
    bin_valid: np.ndarray,
    sigma_bins: float,
    observed: np.ndarray | None = None,
) -> np.ndarray:
    """Gaussian average over the observed bins of each trial, [K, T, n]; 0: as it is.

    Args:
        values: [K, T, n], zero where padded or not observed.
        bin_valid: bool [K, T].
        sigma_bins: of the Gaussian.
        observed: bool [K, T, n], or None where all was. Where less than LEAST_OBSERVED of the
            kernel's weight was observed, the average is drawn to zero.
    """
    if not sigma_bins:
        return values
    # Divided by the kernel's weight on valid bins, or rates would sink towards a trial's ends.
    weight = gaussian_filter1d(bin_valid.astype(np.float32), sigma_bins, axis=1, mode="constant")
    total = gaussian_filter1d(values, sigma_bins, axis=1, mode="constant")
    weight = np.maximum(weight, 1e-6)[:, :, None]
    if observed is not None:
        seen = gaussian_filter1d(observed.astype(np.float32), sigma_bins, axis=1, mode="constant")
        weight = np.maximum(seen, LEAST_OBSERVED * weight)
    return np.where(bin_valid[:, :, None], total / weight, np.float32(0))


def smooth_around(
    values: np.ndarray,
    bin_valid: np.ndarray,
    sigma_bins: float,
    observed: np.ndarray | None,
    mean: np.ndarray,
) -> np.ndarray:
    """`smooth` of values that are not centred: what was not observed is at the mean [n]."""
    if observed is None:
        return smooth(values, bin_valid, sigma_bins)
    mean = mean.astype(values.dtype)
    centred = np.where(observed, values - mean, values.dtype.type(0))
    found = smooth(centred, bin_valid, sigma_bins, observed) + mean
    return np.where(bin_valid[:, :, None], found, values.dtype.type(0))


def trial_mean(
    values: np.ndarray, bin_valid: np.ndarray, observed: np.ndarray | None = None
) -> np.ndarray:
    """Average over the observed bins of each trial, [K, n]; drawn to zero where few were.

    Args:
        values, bin_valid, observed: as of `smooth`.
    """
    num_bins = bin_valid.sum(1)[:, None].astype(np.float32)
    if observed is not None:
        num_bins = np.maximum(observed.sum(1).astype(np.float32), LEAST_OBSERVED * num_bins)
    return values.sum(1) / num_bins


def exponential_filter(values: np.ndarray, memory_bins: float) -> np.ndarray:
    """Causal running average of [K, T, n]; weights fall by 1/e per `memory_bins` (0: none)."""
    decay = np.exp(-1.0 / memory_bins) if memory_bins else 0.0
    found, kept = values * values.dtype.type(1 - decay), values.dtype.type(decay)
    # y_t = (1 - decay) x_t + decay y_(t-1), of all units at once
    for later in range(1, found.shape[1]):
        found[:, later] += kept * found[:, later - 1]
    return found


def filtered_surplus(
    folds: Folds, psth: np.ndarray, part: int, memories_s: Sequence[float]
) -> list[np.ndarray]:
    """Surplus over sqrt(mean) under each causal filter, float32 [K, T, n] per memory.

    Zero in units whose past the forward task does not show.
    """
    scaled = np.where(folds.past_unseen, np.float32(0), surplus(folds.parts[part], psth))
    # Over the spread of Poisson counts, so that one penalty suits slow and fast units.
    scaled = scaled / np.sqrt(folds.mean).astype(np.float32)
    return [exponential_filter(scaled, memory / folds.session.bin_size_s) for memory in memories_s]


def poisson_loss(rates: np.ndarray, fold: Fold, task: str) -> float:
    """Mean of rate - y log rate over scored entries, in nats; what baselines are tuned by."""
    scored = fold.scored[task]
    rate, y = np.maximum(rates[scored], 1e-9), fold.counts[scored]
    # Logarithms at spikes alone: most entries have none.
    fired = y > 0
    total = rate.sum(dtype=np.float64) - (y[fired] * np.log(rate[fired])).sum(dtype=np.float64)
    return float(total / max(len(rate), 1))


def choose(candidates: list, score: Callable[..., float]):
    """The candidate of lowest score, the first of equals; a score not finite never wins."""
    scores = [score(candidate) for candidate in candidates]
    return candidates[int(np.argmin(np.where(np.isfinite(scores), scores, np.inf)))]
