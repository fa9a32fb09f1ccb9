"""What the frozen shared part knows of a new session's units, under every question it is asked.

A unit's read-out is fitted to states that its own spikes of the asked bins never entered:

    neuron        an eighth of all units hidden, eight passes
    inter_region  a whole region hidden, one pass a region
    intra_region  one region visible less an eighth of it, a pass for each such eighth
    causal        one run of bins hidden and those before it visible, so that every bin is asked for
                  from its past, as `forward` asks for the last ones

The four weigh alike, as schemes do in training. Many regions share the passes: each then reads some
of the trials, and these weigh as much more.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np

from neurojax.data.session import TRAIN, Session
from neurojax.errors import require
from neurojax.evals import passes, protocols
from neurojax.models import smoothing
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON
from neurojax.train.predictor import Predictor

PARTS = 8  # of the units, hidden together
RUNS = 10  # of the bins of a trial, hidden one at a time: `forward` asks for the last tenth
MAX_BINS = 20_000  # training bins that are read; more move the rows little
MAX_ENTRIES = 40_000_000  # bins times units
TRIALS_PER_PASS = 64
REGION_PASSES, WITHIN_PASSES = 8, 16  # over all trials; more regions share them
UNITS_AT_ONCE = 128  # whose own past is filtered together
NOWHERE = -1  # region of units without one that is asked about


class States(NamedTuple):
    """Attributes:
    bins: int64 [rows], among those of `Recorded.counts`.
    values: float32 [rows, D].
    """

    bins: np.ndarray
    values: np.ndarray


class Rows(NamedTuple):
    """Training bins as one group of units is asked about them, all questions end to end.

    Attributes:
        units: int64 [n].
        bins: int64 [rows], among those of `Recorded.counts`.
        states: float32 [rows, D].
        weight: float32 [rows]; questions have equal sums, all together sum to the bins.
        own: float32 [M, rows, n], log gains of each unit's own past, zero where it is hidden; None
            of a model that reads none.
    """

    units: np.ndarray
    bins: np.ndarray
    states: np.ndarray
    weight: np.ndarray
    own: np.ndarray | None


class Recorded(NamedTuple):
    """Training trials of a session, their valid bins end to end.

    Attributes:
        session, trials: the recording; int64 [K], those that are read.
        bin_valid: bool [K, T].
        counts: float32 [bins, N].
        observed: bool [bins, N]; None where every unit was watched throughout.
        trial: int64 [bins], place in `trials`.
        eligible: bool [N], units that evaluation ever shows.
    """

    session: Session
    trials: np.ndarray
    bin_valid: np.ndarray
    counts: np.ndarray
    observed: np.ndarray | None
    trial: np.ndarray
    eligible: np.ndarray


def recorded(session: Session) -> Recorded:
    """What is read of a session; raises InputError without a training trial."""
    trials = trials_read(session)
    counts, bin_valid = session.gather_trials(trials)
    observed = None
    if session.validity is not None:
        observed = session.entry_valid(trials, bin_valid.shape[1])[bin_valid]
    return Recorded(
        session,
        trials,
        bin_valid,
        counts[bin_valid].astype(np.float32),
        observed,
        np.nonzero(bin_valid)[0],
        protocols.scored_units(session, protocols.MTM),
    )


def trials_read(session: Session) -> np.ndarray:
    """Training trials that are read, evenly over the session, int64 [K]; raises InputError."""
    trials = session.trials_of(TRAIN)
    require(
        len(trials),
        f"session {session.session_id} has no training trial; give it a split with some",
    )
    bins = int(session.trial_num_bins[trials].sum())
    most = min(MAX_BINS, max(1, MAX_ENTRIES // session.num_units))
    return trials[:: max(1, -(-bins // most))]


def rows_of_groups(
    model: Predictor, found: Recorded, base_rates: np.ndarray, seed: int, num_memories: int
) -> Iterator[Rows]:
    """Every group of units that the same states answer for; together all units once.

    Args:
        model: with the session's read-in rows.
        found: from `recorded`.
        base_rates: float32 [N], spikes per bin, that own gains are relative to.
        seed: deals the units to parts.
        num_memories: M, over which the model reads each unit's own past; 0 of one that does not.
    """
    part, every = dealt(found.session, seed), np.arange(len(found.trials))
    of_part = {
        number: states_of(model, found, every, found.eligible & (part != number), NEURON)
        for number in np.unique(part)
    }
    of_past = _before_each_run(model, found)
    own = _own_gains(model, found, base_rates, num_memories) if num_memories else None
    region, of_region = _regions(model, found)
    groups = [(r, p) for r in (*of_region, NOWHERE) for p in of_part]
    share = max(1, -(-len(of_region) * PARTS // WITHIN_PASSES))
    for number, (r, p) in enumerate(groups):
        units = np.flatnonzero((region == r) & (part == p))
        if not len(units):
            continue
        asked = [of_part[p]]
        if r != NOWHERE:
            asked.append(of_region[r])
            visible = (region == r) & (part != p) & found.eligible
            some = every[number % share :: share]
            if visible.any() and len(some):
                asked.append(states_of(model, found, some, visible, INTRA_REGION))
        yield _joined(units, [*asked, of_past], own)


def dealt(session: Session, seed: int) -> np.ndarray:
    """Part of each unit, int64 [N]; those of one region are dealt to all parts alike."""
    order = np.random.default_rng([seed, 2]).permutation(session.num_units)
    order = order[np.argsort(np.asarray(session.region)[order], kind="stable")]
    part = np.empty(session.num_units, np.int64)
    part[order] = np.arange(session.num_units) % PARTS
    return part


def memory_bytes(session: Session, width: int, num_memories: int) -> int:
    """What the states of a session take at most, in bytes, beside a forward pass.

    Args:
        width: D.
        num_memories: M, as of `rows_of_groups`.
    """
    bins = int(session.trial_num_bins[trials_read(session)].sum())
    regions = len(protocols.region_members(session))
    # of parts, regions and the past; then those of one group, end to end, twice in its fit
    kept = (PARTS + min(regions, REGION_PASSES) + 1) * width
    fitted = 3 * 4 * width
    entries = (2 + num_memories) * session.num_units
    return 4 * bins * (kept + fitted + entries)


def _joined(units: np.ndarray, asked: list[States], own: np.ndarray | None) -> Rows:
    """The rows of a group; the last question is the one that shows a unit's own past."""
    last = asked[-1].bins
    weights = [
        np.full(len(one.bins), len(last) / (len(asked) * len(one.bins)), np.float32)
        for one in asked
    ]
    bins = np.concatenate([one.bins for one in asked])
    gains = None
    if own is not None:
        gains = np.zeros((len(own), len(bins), len(units)), np.float32)
        gains[:, -len(last) :] = own[:, :, units]
    states = np.concatenate([one.values for one in asked])
    return Rows(units, bins, states, np.concatenate(weights), gains)


def states_of(
    model: Predictor,
    found: Recorded,
    places: np.ndarray,
    visible: np.ndarray,
    scheme: int,
    hidden_bins: np.ndarray | None = None,
) -> States:
    """States of some trials, int [k] places in those read, where these units [N] are visible."""
    size = passes.size_within_memory(model, found.session, min(TRIALS_PER_PASS, len(found.trials)))
    trials = found.trials[places]
    asked = passes.Passes(model, found.session, trials, size, lambda done: None)
    values = asked.whole(visible, scheme, hidden_bins, latents=True)  # [k, T of these, D]
    valid = found.bin_valid[places][:, : values.shape[1]]
    return States(np.flatnonzero(np.isin(found.trial, places)), values[valid])


def _regions(model: Predictor, found: Recorded) -> tuple[np.ndarray, Mapping[int, States]]:
    """Region of each unit, int64 [N], and of each region the states that do not see it."""
    region = np.full(found.session.num_units, NOWHERE)
    questions = protocols.questions(found.session, "inter_region")
    share = max(1, -(-len(questions) // REGION_PASSES))
    of_region = {}
    for number, question in enumerate(questions):
        some = np.arange(len(found.trials))[number % share :: share]
        if len(some):
            region[question.asked] = number
            of_region[number] = states_of(model, found, some, question.visible, INTER_REGION)
    return region, of_region


def _runs(found: Recorded) -> Iterator[np.ndarray]:
    """Bins hidden together, bool [K, T]: each run is a tenth of the longest trial."""
    num_bins = found.bin_valid.shape[1]
    length = max(1, num_bins // RUNS)
    for first in range(0, num_bins, length):
        hidden = np.zeros_like(found.bin_valid)
        hidden[:, first : first + length] = True
        yield hidden & found.bin_valid


def _before_each_run(model: Predictor, found: Recorded) -> States:
    """States of every bin from the bins before its run."""
    every, values = np.arange(len(found.trials)), None
    for hidden in _runs(found):
        # What comes after the run is hidden too: not every model is causal.
        unseen = np.logical_or.accumulate(hidden, axis=1) & found.bin_valid
        now = states_of(model, found, every, found.eligible, CAUSAL, unseen).values
        values = np.empty_like(now) if values is None else values
        asked = hidden[found.bin_valid]
        values[asked] = now[asked]
    return States(np.arange(len(found.trial)), values)


_log_gains = jax.jit(smoothing.own_log_gains)


def _own_gains(
    model: Predictor, found: Recorded, base_rates: np.ndarray, num_memories: int
) -> np.ndarray:
    """Log gains of every unit's own past before each run, float32 [M, bins, N]."""
    shape = (*found.bin_valid.shape, found.session.num_units)
    counts, seen = np.zeros(shape, np.float32), np.zeros(shape, bool)
    counts[found.bin_valid] = found.counts
    seen[found.bin_valid] = True if found.observed is None else found.observed
    gains = np.empty((num_memories, *found.counts.shape), np.float32)
    # The host's: of arrays that every device holds, each device would filter all.
    memories = jax.device_get(model.params["log_memories"])
    for hidden in _runs(found):
        asked = hidden[found.bin_valid]
        for first in range(0, shape[2], UNITS_AT_ONCE):
            some = slice(first, first + UNITS_AT_ONCE)
            visible = seen[:, :, some] & ~hidden[:, :, None] & found.eligible[some]
            shown = np.where(visible, counts[:, :, some], np.float32(0))
            asked_of = (shown[None], visible[None], base_rates[None, some], memories)
            now = _log_gains(*asked_of)
            now = np.asarray(now)[:, 0][:, found.bin_valid]  # [M, bins, units]
            gains[:, asked, some] = now[:, asked]
    return gains
