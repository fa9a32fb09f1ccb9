"""What every baseline starts from: one session's splits as dense arrays over its scored units."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals import protocols
from neurojax.evals.protocols import MTM, Protocol

PARTS = (VALIDATION, TEST)  # what is predicted


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
        counts: float32 [K, T, n], zero where padded.
        bin_valid: bool [K, T].
        hidden_bins: bool [K, T], what the forward task hides.
        scored: kind of task -> bool [K, T, n].
    """

    counts: np.ndarray
    bin_valid: np.ndarray
    hidden_bins: np.ndarray
    scored: Mapping[str, np.ndarray]


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
        parts[split] = Fold(counts[:, :, units].astype(np.float32), bin_valid, hidden, scored)
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
    """Counts minus PSTH, float32 [K, T, n], zero where padded."""
    expected = padded_psth(psth, fold.counts.shape[1]).astype(np.float32)
    return np.where(fold.bin_valid[:, :, None], fold.counts - expected, np.float32(0))


def smooth(values: np.ndarray, bin_valid: np.ndarray, sigma_bins: float) -> np.ndarray:
    """Gaussian average over the valid bins of each trial: [K, T, n] (zero where padded) -> same
    shape; 0: as it is."""
    if not sigma_bins:
        return values
    # Divided by the kernel's weight on valid bins, or rates would sink towards a trial's ends.
    weight = gaussian_filter1d(bin_valid.astype(np.float32), sigma_bins, axis=1, mode="constant")
    total = gaussian_filter1d(values, sigma_bins, axis=1, mode="constant")
    return np.where(
        bin_valid[:, :, None], total / np.maximum(weight, 1e-6)[:, :, None], np.float32(0)
    )


def trial_mean(values: np.ndarray, bin_valid: np.ndarray) -> np.ndarray:
    """Average over the valid bins of each trial: [K, T, n] (zero where padded) -> [K, n]."""
    return values.sum(1) / bin_valid.sum(1)[:, None].astype(np.float32)


def exponential_filter(values: np.ndarray, memory_bins: float) -> np.ndarray:
    """Causal running average of [K, T, n]; weights fall by 1/e per `memory_bins` (0: none)."""
    decay = np.exp(-1.0 / memory_bins) if memory_bins else 0.0
    # y_t = (1 - decay) x_t + decay y_(t-1)
    coefficients = np.array([1 - decay], values.dtype), np.array([1, -decay], values.dtype)
    return lfilter(*coefficients, values, axis=1)


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
