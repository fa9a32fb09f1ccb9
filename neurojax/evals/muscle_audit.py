"""What a decoder of speech has from the muscles that speak, and not from the brain: an audit.

Whoever reads sentences from EEG while somebody speaks reads the jaw as well, unless it is shown
that he does not. Of every window two parts are needed: what muscles put into it, and the rest. In a
generator both are planted; of a recording the muscle part is what channels on the muscles explain
(`explained_by`), which leaves what they do not explain with the rest.

    as_trained             windows as they are
    muscle_channels_alone  all other channels silenced: what the muscle's own channels give
    muscle_kept            the rest is from another window and contradicts: right is what the muscle
                           says. Too low a figure of what the muscle gives
    neural_kept            the same windows: right is what the rest says; too low for the same cause
    controls               windows moved in time, reversed, scored against a permuted pairing, and
                           those of days that training never saw

None of these is an upper bound on what comes from muscles: a decoder that believes the rest loses
the muscle's answer in a window where the two disagree. At a planted gain of 1, where the jaw alone
gives 0.567, muscle_kept is 0.154 and muscle_channels_alone 0.499 (experiments/eeg_speech). A run
that trained with swapped muscle (data.swap_muscle) shows what is there without the muscle.

What the exchanged part says is no candidate in that window: two parts that name other sentences
would take the first place from each other, and both would look weaker still.

Source: Sato et al. 2024 (arXiv 2407.07595) for the question; the swaps are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.errors import require
from neurojax.scores import retrieval

LAGS = (-12, -6, -3, -1, 1, 3, 6, 12)  # bins
NAMES = ("as_trained", "muscle_channels_alone", "muscle_kept", "neural_kept")
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Windows(NamedTuple):
    """Windows of one person.

    Attributes:
        values: float [W, T, C], as recorded.
        muscle: float [W, T, C], what of each sample is muscle.
        item: int [W], which of K candidates was said.
        trial: int [W], of the person's session; a scorer gets them beside the samples.
        known_day: bool [W], whether training saw the day; all True where days are not known.
        on_muscle: bool [C], channels that lie on muscles.
    """

    values: np.ndarray
    muscle: np.ndarray
    item: np.ndarray
    trial: np.ndarray
    known_day: np.ndarray
    on_muscle: np.ndarray


def of_person(
    score: Score, windows: Windows, rng: np.random.Generator, controls: bool = True
) -> dict[str, Any]:
    """The audit of one person: share of windows whose right item comes first.

    Args:
        score: (values [W, T, C], trial [W]) -> float [W, K], higher is likelier.
        windows: at least two on known days, of two items or more.
        rng: draws who swaps with whom.
        controls: whether to score windows moved, reversed and paired at random. Of these the
            permuted pairing is at chance; moved windows only when moved by more than the features'
            own memory (a bin leaves much of the match); reversed ones are a little above, for
            smooth features match themselves in the middle of the window.

    Returns:
        {NAMES: top-1} and, with controls, {"held_out_day": top-1 or None, "time_reversed",
        "pairing_permuted", "lags": {bins: top-1}}; a positive lag moves the signal later.

    Raises:
        InputError: shapes that differ, or nothing to swap with.
    """
    require(
        windows.values.shape == windows.muscle.shape
        and len(windows.values) == len(windows.item) == len(windows.trial),
        f"values are {list(windows.values.shape)} and muscle {list(windows.muscle.shape)}, of "
        f"{len(windows.item)} items; expected [W, T, C] twice and [W]",
    )
    known = np.flatnonzero(windows.known_day)
    values, muscle, item, trial = (part[known] for part in windows[:4])
    require(
        can_swap(windows),
        f"{len(known)} windows of known days say {len(np.unique(item))} things; the audit swaps "
        "windows of different ones and needs three or more",
    )
    other = partners(item, rng)

    def top1(changed, right=item, of=trial):
        return retrieval.top(retrieval.ranks(score(changed, of), right), 1)

    alone = np.where(windows.on_muscle, values, np.median(values, axis=(0, 1)))
    swapped = score(values - muscle + muscle[other], trial)
    held_out = np.flatnonzero(~windows.known_day)
    found = {
        "as_trained": top1(values),
        "muscle_channels_alone": top1(alone) if windows.on_muscle.any() else None,
        "muscle_kept": retrieval.top(retrieval.ranks(without(swapped, item), item[other]), 1),
        "neural_kept": retrieval.top(retrieval.ranks(without(swapped, item[other]), item), 1),
    }
    if not controls:
        return found
    return found | {
        "held_out_day": top1(
            windows.values[held_out], windows.item[held_out], windows.trial[held_out]
        )
        if len(held_out)
        else None,
        "time_reversed": top1(values[:, ::-1]),
        "pairing_permuted": top1(values, item[partners(item, rng)]),
        "lags": {str(lag): top1(moved(values, lag)) for lag in LAGS},
    }


def can_swap(windows: Windows) -> bool:
    """Whether windows of known days say three things or more."""
    return len(np.unique(windows.item[windows.known_day])) > 2


def over_people(people: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over people of `of_person`, and the people."""
    first = next(iter(people.values()))
    found: dict[str, Any] = {}
    for name in first:
        if name == "lags":
            found[name] = {
                lag: _mean([one[name][lag] for one in people.values()]) for lag in first[name]
            }
        else:
            found[name] = _mean([one[name] for one in people.values()])
    return found | {"people": {name: dict(one) for name, one in people.items()}}


def partners(item: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each window another one that says something else, int [W]; everyone is asked once where
    that can be."""
    order = rng.permutation(len(item))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    for window in np.flatnonzero(item[other] == item):  # of items said more than once
        other[window] = rng.choice(np.flatnonzero(item != item[window]))
    return other


def without(score: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Scores [W, K] in which one candidate of each window, int [W], comes last."""
    found = np.array(score, np.float64)
    found[np.arange(len(found)), item] = found.min() - 1
    return found


def moved(values: np.ndarray, lag: int) -> np.ndarray:
    """Windows [W, T, C] later by `lag` bins, with zeros where nothing was recorded."""
    found = np.zeros_like(values)
    if lag >= 0:
        found[:, lag:] = values[:, : values.shape[1] - lag]
    else:
        found[:, :lag] = values[:, -lag:]
    return found


def explained_by(
    values: np.ndarray, on_muscle: np.ndarray, fitted: np.ndarray, lags: Sequence[int] = (-1, 0, 1)
) -> np.ndarray:
    """The part of windows that channels on muscles explain linearly, float32 [W, T, C].

    An estimate for recordings, where muscle is not planted: muscle that those channels do not see
    stays in the rest, and brain that they see counts as muscle.

    Args:
        values: float [W, T, C].
        on_muscle: bool [C], one or more; of them all is muscle.
        fitted: int [any], windows that the regression may see; trials of training.
        lags: bins by which the muscle may come before or after.

    Raises:
        InputError: no channel on a muscle.
    """
    require(on_muscle.any(), "no channel lies on a muscle; name one, or leave the audit out")
    driver = np.concatenate([moved(values[..., on_muscle], lag) for lag in lags], axis=-1)
    flat = driver[fitted].reshape(-1, driver.shape[-1]).astype(np.float64)
    seen = values[fitted][..., ~on_muscle].reshape(len(flat), -1).astype(np.float64)
    square = flat.T @ flat
    ridge = 1e-3 * np.trace(square) / len(square) * np.eye(len(square))
    weight = np.linalg.solve(square + ridge, flat.T @ seen)
    found = np.array(values, np.float32)
    found[..., ~on_muscle] = driver @ weight
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
