"""The activity tasks of a protocol, predicted by a model under test-time masking.

    co_smoothing   one unit hidden, all bins; that unit predicted; every unit in turn
    forward        the last bins of every unit hidden and predicted
    inter_region   one region hidden and predicted; every region in turn
    intra_region   one region visible less one unit; that unit predicted; every unit in turn
    held_out       the held-out units hidden and predicted, all at once

Leave-one-out is batched: a pass takes (trial, unit) pairs from anywhere. Where hiding a unit only
zeroes its counts, a unit silent in a trial is predicted by the pass that hides nothing (exact).

Source: Zhang et al. 2024, section 4; evals.protocols says what is scored.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from neurojax.data import batching
from neurojax.errors import InputError
from neurojax.evals import protocols
from neurojax.masking import CAUSAL, INTER_REGION, INTRA_REGION, NEURON, SCHEMES, Masks, scheme_id
from neurojax.types import TEST, Batch, Session


class Model(Protocol):
    """What evaluation needs of a model; `train.predictor.Predictor` is one."""

    layout: batching.Layout
    bucket_units: int
    hides_by_zeroing: bool
    schemes: tuple[str, ...]  # names of masking.SCHEMES it was trained with

    def log_rates(self, batch: Batch, masks: Masks, scheme: np.ndarray) -> Any: ...

    def log_rates_of_unit(self, batch: Batch, masks: Masks, scheme: np.ndarray, unit: np.ndarray) -> Any: ...

    def latents(self, batch: Batch, masks: Masks, scheme: np.ndarray) -> Any: ...


class _Group(NamedTuple):
    """A population whose units are left out one at a time."""

    members: np.ndarray  # bool [N], visible units; all others are hidden
    scheme: int


def predict_session(
    model: Model,
    session: Session,
    tasks: Sequence[str] | None = None,
    *,
    protocol: protocols.Protocol = protocols.MTM,
    split: int = TEST,
    trials_per_pass: int = 256,
    progress: Callable[[int], None] = lambda passes: None,
    trial_ids: np.ndarray | None = None,
    only: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Predicts every scored entry of one session's split.

    Args:
        model: with rows for the session.
        session: the recording.
        tasks: of the protocol's `activity_tasks`; default all of them.
        protocol: what they hide.
        split: TEST, or VALIDATION for choices.
        trials_per_pass: trials in a forward pass; bounds memory.
        progress: called with the number of trial passes done.
        trial_ids: int64 [trials], instead of those of the split.
        only: bool [trials, N], the units to leave out and those whose regions to hide; default all. Units left
            out elsewhere are NaN; the regions of these units, `forward` and `held_out` are predicted whole.

    Returns:
        task -> float32 [trials, T, N], expected spikes per bin, NaN where the protocol does not score.

    Raises:
        InputError: the model has no rows for the session, or the split has no trial.
    """
    tasks = protocol.activity_tasks if tasks is None else tasks
    trial_ids = session.trials_of(split) if trial_ids is None else trial_ids
    passes = _Passes(model, session, trial_ids, trials_per_pass, progress)
    regions = protocols.region_members(session, protocol)
    only = np.ones((len(trial_ids), session.num_units), bool) if only is None else only
    predictions = {}
    for task in tasks:
        kind, visible = protocol.task(task).kind, protocols.visible_units(session, task, protocol)
        scored = protocols.scored_entries(session, task, trial_ids, protocol)
        if kind == "co_smoothing":
            log_rates = passes.leave_one_out([_Group(visible, _scheme(model, NEURON))], only)
        elif kind == "forward":
            log_rates = passes.whole(visible, CAUSAL, protocols.forward_bins(session, trial_ids, protocol))
        elif kind == "held_out":
            log_rates = passes.whole(visible, NEURON)
        elif kind == "inter_region":
            log_rates = passes.hide_regions(visible, list(regions.values()), only)
        else:
            log_rates = passes.leave_one_out(
                [_Group(members, _scheme(model, INTRA_REGION)) for members in regions.values()], only
            )
        predictions[task] = np.where(scored, np.exp(log_rates), np.float32(np.nan))
    return predictions


def _scheme(model: Model, wanted: int) -> int:
    """The scheme whose prompt and attention a task uses: its own if the model was trained with it.

    Otherwise the model's first scheme: the temporal baseline predicts every task without a prompt
    and with full attention, as its authors do.
    """
    return wanted if SCHEMES[wanted] in model.schemes else scheme_id(model.schemes[0])


class _Passes:
    """Forward passes over one session's trials in chunks of one static shape."""

    def __init__(self, model: Model, session: Session, trial_ids, trials_per_pass: int, progress):
        if session.session_id not in model.layout.session_ids:
            raise InputError(
                f"session {session.session_id} is not one the model was trained on "
                f"({len(model.layout.session_ids)} sessions); fine-tune on it first"
            )
        if not len(trial_ids):
            raise InputError(f"session {session.session_id} has no trial to evaluate; convert it with a split")
        self._model, self._size, self._progress = model, trials_per_pass, progress
        number = model.layout.session_ids.index(session.session_id)
        width = batching.padded_width(session.num_units, model.bucket_units)
        counts, bin_valid = session.gather_trials(trial_ids)
        num_trials, self._num_bins, self._num_units = counts.shape
        self._counts = np.zeros((num_trials, model.layout.num_bins, width), counts.dtype)
        self._counts[:, : self._num_bins, : self._num_units] = counts
        self._bin_valid = np.zeros(self._counts.shape[:2], bool)
        self._bin_valid[:, : self._num_bins] = bin_valid
        plan = batching.Plan(np.asarray([number], np.int32), np.zeros((1, trials_per_pass), np.int32), width)
        self._fields = batching.static_fields(model.layout, plan)

    def whole(
        self, visible: np.ndarray, scheme: int, hidden_bins: np.ndarray | None = None, latents: bool = False
    ) -> np.ndarray:
        """Log-rates [K, T, N] of all units, or latents [K, T, D], from one pass a trial.

        Units that are not `visible` are hidden, and all units in `hidden_bins`, bool [K, T].
        """
        found = []
        for chunk in self._chunks(len(self._counts)):
            bins = np.zeros((len(chunk), self._counts.shape[1]), bool)
            if hidden_bins is not None:
                bins[:, : self._num_bins] = hidden_bins[chunk]
            hidden = np.tile(~visible, (len(chunk), 1))
            found.append(self._pass(chunk, hidden, _scheme(self._model, scheme), bins, latents=latents))
        return np.concatenate(found)

    def hide_regions(self, visible: np.ndarray, regions: Sequence[np.ndarray], only: np.ndarray) -> np.ndarray:
        """Log-rates [K, T, N], each region's units from a pass that hides the whole region.

        `only`, bool [K, N]: a pass hides a region in a trial where it holds one of these units.
        """
        log_rates = np.full((len(self._counts), self._num_bins, self._num_units), np.nan, np.float32)
        pairs = np.argwhere([only[:, members].any(1) for members in regions]).reshape(-1, 2)  # region, trial
        for chunk in self._chunks(len(pairs)):
            region, trial = pairs[chunk].T
            hidden = np.stack([~visible | regions[r] for r in region])
            result = self._pass(trial, hidden, _scheme(self._model, INTER_REGION))
            for place, (r, k) in enumerate(zip(region, trial, strict=True)):
                log_rates[k][:, regions[r]] = result[place][:, regions[r]]
        return log_rates

    def hidden_of_sets(self, visible_sets: np.ndarray) -> Iterator[np.ndarray]:
        """Rates [K, T, N] of the hidden units for each set [M, N] of visible ones, NaN for these."""
        num_trials = len(self._counts)
        scheme = _scheme(self._model, INTER_REGION)
        rates = np.empty((num_trials, self._num_bins, self._num_units), np.float32)
        for chunk in self._chunks(len(visible_sets) * num_trials):
            number, trial = np.divmod(chunk, num_trials)
            result = self._pass(trial, ~visible_sets[number], scheme)
            for place, (m, k) in enumerate(zip(number, trial, strict=True)):
                rates[k] = np.where(visible_sets[m], np.nan, np.exp(result[place]))
                if k == num_trials - 1:
                    yield rates
                    rates = np.empty_like(rates)

    def leave_one_out(self, groups: Sequence[_Group], only: np.ndarray) -> np.ndarray:
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
                    log_rates[np.ix_(chunk, range(self._num_bins), np.flatnonzero(group.members))] = result[
                        :, :, group.members
                    ]
                needed &= active
            trial, unit = np.nonzero(needed)
            # A pass is of one group and then makes its posterior once.
            asked = (
                (chunk, self._ask(trial[chunk], _less(group.members, unit[chunk]), group.scheme, unit=unit[chunk]))
                for chunk in self._chunks(len(trial))
            )
            # On a CPU two passes at once would only take cores from each other.
            for chunk, fetch in _one_behind(asked) if getattr(self._model, "on_accelerator", False) else asked:
                log_rates[trial[chunk], :, unit[chunk]] = fetch()
        return np.where(only[:, None, :], log_rates, np.float32(np.nan))  # no rate of a unit that was not hidden

    def _chunks(self, total: int) -> Iterator[np.ndarray]:
        for start in range(0, total, self._size):
            yield np.arange(start, min(start + self._size, total))

    def _pass(self, trial, hidden_units, scheme, hidden_bins=None, latents=False) -> np.ndarray:
        """One padded forward pass: log-rates [n, T, N], or latents [n, T, D]."""
        return self._ask(trial, hidden_units, scheme, hidden_bins, latents=latents)()

    def _ask(self, trial, hidden_units, scheme, hidden_bins=None, unit=None, latents=False) -> Callable[[], np.ndarray]:
        """Starts a padded forward pass; the call of what it returns waits for log-rates [n, T, N], for [n, T] of one
        unit per trial, or for latents [n, T, D]."""
        num, missing = len(trial), self._size - len(trial)
        trial = np.pad(trial, (0, missing))
        hidden = np.ones((self._size, self._counts.shape[2]), bool)
        hidden[:num, : self._num_units] = hidden_units
        bins = np.zeros((self._size, self._counts.shape[1]), bool)
        if hidden_bins is not None:
            bins[:num] = hidden_bins
        schemes = np.zeros(self._size, np.int32)
        schemes[:num] = scheme
        batch = self._fields._replace(counts=self._counts[trial][None], bin_valid=self._bin_valid[trial][None])
        masks = Masks(hidden[None], bins[None], hidden[None], bins[None])
        if latents:
            result = self._model.latents(batch, masks, schemes[None])
        elif unit is None:
            result = self._model.log_rates(batch, masks, schemes[None])
        else:
            padded = np.pad(unit, (0, missing)).astype(np.int32)
            result = self._model.log_rates_of_unit(batch, masks, schemes[None], padded)

        def fetch() -> np.ndarray:
            found = np.asarray(result) if unit is not None else np.asarray(result)[0]
            self._progress(num)
            found = found[:num, : self._num_bins]
            return found if latents or unit is not None else found[..., : self._num_units]

        return fetch


def _less(members: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """What each of n trials hides, bool [n, N]: all but the members, and its own unit."""
    hidden = np.tile(~members, (len(unit), 1))
    hidden[np.arange(len(unit)), unit] = True
    return hidden


def _one_behind(asked: Iterator) -> Iterator:
    """Hands on each entry after the next one was made: the device has its next pass while the host takes the last."""
    waiting = None
    for entry in asked:
        if waiting is not None:
            yield waiting
        waiting = entry
    if waiting is not None:
        yield waiting


def beside_held_out(
    model: Model,
    session: Session,
    protocol: protocols.Protocol,
    trial_ids: np.ndarray,
    *,
    latents: bool = False,
    trials_per_pass: int = 256,
) -> np.ndarray:
    """What the model makes of the held-in units alone, every other unit hidden: rates of all units, or latents.

    Returns:
        float32 [K, T, N], expected spikes per bin (of held-in units too, which see their own counts), or
        float32 [K, T, D]; undefined in bins past a trial's end.
    """
    visible = protocols.scored_units(session, protocol) & ~protocols.held_out_units(session, protocol)
    passes = _Passes(model, session, trial_ids, trials_per_pass, lambda passes: None)
    found = passes.whole(visible, NEURON, latents=latents)
    return found if latents else np.exp(found)


def predict_hidden(
    model: Model, session: Session, visible_sets: np.ndarray, trials_per_pass: int = 256
) -> Iterator[np.ndarray]:
    """Rates of everything that is hidden, for one set of visible units after another; prompt of inter-region.

    Few such patterns are trained (inter-region hides one region, not all but one), so most are probes of the
    model and no tasks of a protocol.

    Args:
        model: with rows for the session.
        session: the recording.
        visible_sets: bool [M, N], units that are visible in all bins.
        trials_per_pass: trials in a forward pass; sets share passes.

    Yields:
        M times float32 [test trials, T, N], expected spikes per bin; NaN for the visible units.
    """
    passes = _Passes(model, session, session.trials_of(TEST), trials_per_pass, lambda passes: None)
    yield from passes.hidden_of_sets(np.asarray(visible_sets, bool))
