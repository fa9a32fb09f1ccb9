"""Forward passes over one session's trials, in chunks of one static shape.

A pass takes (trial, hidden units, hidden bins) from anywhere, so that leave-one-out is batched.
Where hiding a unit only zeroes its counts, a unit silent in a trial is predicted by the pass that
hides nothing (exact).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching
from neurojax.data.session import Session
from neurojax.errors import require
from neurojax.evals.groups import Group
from neurojax.evals.protocols import Question
from neurojax.objectives.interface import Query
from neurojax.schemes import INTER_REGION

# padded units from which a pair is read from sums, where the model can: fewer are quick anyway, and
# keep the very digits of the plain pass
SUMMED_UNITS = 1024
_SUMMED_TRIALS = 32  # whose sums a pass makes at most
MEMORY_MB = 4096  # as eval.memory_mb of the shipped configs; 1 MB = 2^20 bytes


class Model(Protocol):
    """What evaluation needs of a model; `train.predictor.Predictor` is one."""

    layout: batching.Layout
    bucket_units: int
    hides_by_zeroing: bool
    reads_sums: bool
    on_accelerator: bool

    def asked_as(self, scheme: int) -> int: ...

    def log_rates(self, batch: Batch, query: Query) -> Any: ...

    def log_rates_of_unit(self, batch: Batch, query: Query, unit: np.ndarray) -> Any: ...

    def log_rates_of_pairs(self, batch: Batch, query: Query, place, unit) -> Any: ...

    def latents(self, batch: Batch, query: Query) -> Any: ...


def padded(
    batch: Batch,
    size: int,
    scheme: int,
    hidden_units: np.ndarray,
    hidden_bins: np.ndarray | None = None,
) -> tuple[Batch, Query]:
    """Trials of one session as a batch of one static shape, and what it is asked.

    Args:
        batch: n trials of one group, see `batching.session_batch`.
        size: b, at least n; trials beyond n are empty: no spike, no valid bin, no visible unit.
        scheme: id as the model knows it, see `Model.asked_as`.
        hidden_units: bool [N] of every trial, or [n, N]; padding units are always hidden.
        hidden_bins: bool [n, bins of the longest trial or more]; default none.

    Returns:
        (batch, query), leaves [1, b, ...].
    """
    num, num_bins, width = batch.trials["counts"].shape[1:]
    hidden, bins = np.ones((1, size, width), bool), np.zeros((1, size, num_bins), bool)
    hidden[0, :num, : hidden_units.shape[-1]] = hidden_units
    if hidden_bins is not None:
        bins[0, :num, : hidden_bins.shape[-1]] = hidden_bins
    if num < size:
        empty = [(0, 0), (0, size - num)]
        batch = batch.with_trials(
            **{
                name: np.pad(array, empty + [(0, 0)] * (array.ndim - 2))
                for name, array in batch.trials.items()
            }
        )
    return batch, Query(hidden, bins, np.full((1, size), scheme, np.int32))


def size_within_memory(model: Model, session: Session, at_most: int) -> int:
    """Trials of a forward pass where nobody set a bound on its memory: MEMORY_MB of each device.

    Raises:
        InputError: not one trial fits.
    """
    plan = getattr(model, "pass_size", None)  # a stand-in for a model has none
    if plan is None:
        return at_most
    return plan(session.num_units, memory_mb=MEMORY_MB, at_most=at_most).trials


def over(
    model: Model,
    session: Session,
    trial_ids: np.ndarray,
    hidden_units: np.ndarray,
    scheme: int,
    size: int,
) -> Iterator[tuple[np.ndarray, Batch, Query]]:
    """Batches of one static shape over trials of a session: (their trials, batch, query); no bin is
    hidden.

    Args:
        model: with rows for the session.
        session, trial_ids: int [K], the trials in their order.
        hidden_units: bool [N] of every trial, or [K, N].
        scheme: id of the task, see `Model.asked_as`.
        size: trials of a batch, see `padded`.
    """
    for start in range(0, len(trial_ids), size):
        some = slice(start, start + size)
        batch = batching.session_batch(session, model.layout, trial_ids[some], model.bucket_units)
        hidden = hidden_units[some] if hidden_units.ndim > 1 else hidden_units
        yield (trial_ids[some], *padded(batch, size, model.asked_as(scheme), hidden))


class Passes:
    """Forward passes over one session's trials in chunks of one static shape."""

    def __init__(self, model: Model, session: Session, trial_ids, trials_per_pass: int, progress):
        require(
            session.session_id in model.layout.session_ids,
            f"session {session.session_id} is not one the model was trained on "
            f"({len(model.layout.session_ids)} sessions); fine-tune on it first",
        )
        require(
            len(trial_ids),
            f"session {session.session_id} has no trial to evaluate; convert it with a split",
        )
        self._model, self._size, self._progress = model, trials_per_pass, progress
        self._batch = batching.session_batch(session, model.layout, trial_ids, model.bucket_units)
        self._counts = self._batch.trials["counts"][0]  # [K, T, N padded]
        self._num_bins = int(session.trial_num_bins[trial_ids].max())
        self._num_units = session.num_units

    def whole(
        self,
        visible: np.ndarray,
        scheme: int,
        hidden_bins: np.ndarray | None = None,
        latents: bool = False,
    ) -> np.ndarray:
        """Log-rates [K, T, N] of all units, or latents [K, T, D], from one pass a trial.

        Units that are not `visible` are hidden, and all units in `hidden_bins`, bool [K, T].
        """
        found = []
        for chunk in self._chunks(len(self._counts)):
            bins = None if hidden_bins is None else hidden_bins[chunk]
            hidden = np.tile(~visible, (len(chunk), 1))
            found.append(self._pass(chunk, hidden, scheme, bins, latents=latents))
        return np.concatenate(found)

    def hide_together(
        self, questions: Sequence[Question], only: np.ndarray, scheme: int = INTER_REGION
    ) -> np.ndarray:
        """Log-rates [K, T, N], each region's or part's units from a pass that hides it whole.

        Args:
            questions: of each region, see `protocols.questions`, or of each part.
            only: bool [K, N], units whose regions are wanted; others are NaN.
            scheme: id of the task.
        """
        log_rates = np.full(
            (len(self._counts), self._num_bins, self._num_units), np.nan, np.float32
        )
        # region, trial
        pairs = np.argwhere([only[:, q.asked].any(1) for q in questions]).reshape(-1, 2)
        for chunk in self._chunks(len(pairs)):
            region, trial = pairs[chunk].T
            hidden = np.stack([~questions[r].visible for r in region])
            result = self._pass(trial, hidden, scheme)
            for place, (r, k) in enumerate(zip(region, trial, strict=True)):
                units = questions[r].asked
                log_rates[k][:, units] = result[place][:, units]
        return log_rates

    def hidden_of_sets(self, visible_sets: np.ndarray) -> Iterator[np.ndarray]:
        """Rates [K, T, N] of the hidden units for each set [M, N] of visible ones, NaN for
        these."""
        num_trials = len(self._counts)
        rates = np.empty((num_trials, self._num_bins, self._num_units), np.float32)
        for chunk in self._chunks(len(visible_sets) * num_trials):
            number, trial = np.divmod(chunk, num_trials)
            result = self._pass(trial, ~visible_sets[number], INTER_REGION)
            for place, (m, k) in enumerate(zip(number, trial, strict=True)):
                rates[k] = np.where(visible_sets[m], np.nan, np.exp(result[place]))
                if k == num_trials - 1:
                    yield rates
                    rates = np.empty_like(rates)

    def leave_one_out(self, groups: Sequence[Group], only: np.ndarray) -> np.ndarray:
        """Log-rates [K, T, N]: each group's units, each hidden in turn from the rest of its group.

        `only`, bool [K, N]: the units to leave out of each trial.
        """
        num_trials = len(self._counts)
        log_rates = np.full((num_trials, self._num_bins, self._num_units), np.nan, np.float32)
        active = self._counts[:, :, : self._num_units].any(1)  # [K, N]
        for group in groups:
            needed = group.members & only
            if self._model.hides_by_zeroing and (needed & ~active).any():
                for chunk in self._chunks(num_trials):
                    hidden = np.tile(~group.members, (len(chunk), 1))
                    result = self._pass(chunk, hidden, group.scheme)
                    log_rates[
                        np.ix_(chunk, range(self._num_bins), np.flatnonzero(group.members))
                    ] = result[:, :, group.members]
                needed &= active
            trial, unit = np.nonzero(needed)
            for chunk, found in self._one_left_out(group, trial, unit):
                log_rates[trial[chunk], :, unit[chunk]] = found
        # no rate of a unit that was not hidden
        return np.where(only[:, None, :], log_rates, np.float32(np.nan))

    def of_pairs(self, groups: Sequence[Group], trial: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Log-rates [P, T] of some (trial, unit) pairs, the unit hidden from the rest of its group.

        Args:
            groups: of which each unit is in one.
            trial: int [P], places among the trials.
            unit: int [P].
        """
        log_rates = np.full((len(trial), self._num_bins), np.nan, np.float32)
        in_order = np.argsort(trial, kind="stable")
        for group in groups:
            own = in_order[group.members[unit[in_order]]]
            for chunk, found in self._one_left_out(group, trial[own], unit[own]):
                log_rates[own[chunk]] = found
        return log_rates

    def _one_left_out(self, group: Group, trial, unit) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(places of some of the pairs, their log-rates [n, T]), until all are done; trials
        ascend."""
        wide = self._batch.trials["counts"].shape[-1] >= SUMMED_UNITS
        if wide and getattr(self._model, "reads_sums", False):
            yield from self._from_sums(group, trial, unit)
            return
        # A pass is of one group and then makes its posterior once.
        asked = (
            (
                chunk,
                self._ask(
                    trial[chunk],
                    _less(group.members, unit[chunk]),
                    group.scheme,
                    unit=unit[chunk],
                ),
            )
            for chunk in self._chunks(len(trial))
        )
        # On a CPU two passes at once would only take cores from each other.
        for chunk, fetch in _one_behind(asked) if self._model.on_accelerator else asked:
            yield chunk, fetch()

    def _from_sums(self, group: Group, trial, unit) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`_one_left_out` where what a pair costs does not grow with units."""
        start = 0
        while start < len(trial):
            of_pass = trial[start : start + self._size]
            shown = np.unique(of_pass)[:_SUMMED_TRIALS]
            chunk = start + np.flatnonzero(of_pass <= shown[-1])
            some = {name: array[:, shown] for name, array in self._batch.trials.items()}
            # Powers of two: few shapes to compile.
            rows, scheme = 1 << (len(shown) - 1).bit_length(), self._model.asked_as(group.scheme)
            batch, query = padded(self._batch.with_trials(**some), rows, scheme, ~group.members)
            place, of_all = np.zeros((2, self._size), np.int32)
            place[: len(chunk)] = np.searchsorted(shown, trial[chunk])
            of_all[: len(chunk)] = unit[chunk]
            found = np.asarray(self._model.log_rates_of_pairs(batch, query, place, of_all))
            self._progress(len(chunk))
            yield chunk, found[: len(chunk), : self._num_bins]
            start += len(chunk)

    def _chunks(self, total: int) -> Iterator[np.ndarray]:
        for start in range(0, total, self._size):
            yield np.arange(start, min(start + self._size, total))

    def _pass(self, trial, hidden_units, scheme, hidden_bins=None, latents=False) -> np.ndarray:
        """One padded forward pass: log-rates [n, T, N], or latents [n, T, D]."""
        return self._ask(trial, hidden_units, scheme, hidden_bins, latents=latents)()

    def _ask(
        self, trial, hidden_units, scheme, hidden_bins=None, unit=None, latents=False
    ) -> Callable[[], np.ndarray]:
        """Starts a padded forward pass; the call of what it returns waits for log-rates [n, T, N],
        for [n, T] of one unit per trial, or for latents [n, T, D]."""
        some = {name: array[:, trial] for name, array in self._batch.trials.items()}
        batch, query = padded(
            self._batch.with_trials(**some),
            self._size,
            self._model.asked_as(scheme),
            hidden_units,
            hidden_bins,
        )
        if latents:
            result = self._model.latents(batch, query)
        elif unit is None:
            result = self._model.log_rates(batch, query)
        else:
            of_all = np.zeros(self._size, np.int32)
            of_all[: len(trial)] = unit
            result = self._model.log_rates_of_unit(batch, query, of_all)

        def fetch() -> np.ndarray:
            found = np.asarray(result) if unit is not None else np.asarray(result)[0]
            self._progress(len(trial))
            found = found[: len(trial), : self._num_bins]
            return found if latents or unit is not None else found[..., : self._num_units]

        return fetch


def _less(members: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """What each of n trials hides, bool [n, N]: all but the members, and its own unit."""
    hidden = np.tile(~members, (len(unit), 1))
    hidden[np.arange(len(unit)), unit] = True
    return hidden


def _one_behind(asked: Iterator) -> Iterator:
    """Hands on each entry after the next one was made: the device has its next pass while the host
    takes the last."""
    waiting = None
    for entry in asked:
        if waiting is not None:
            yield waiting
        waiting = entry
    if waiting is not None:
        yield waiting
