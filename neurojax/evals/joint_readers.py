"""What stands beside a model of all nodes: ridge regression for each pattern, and what is known
exactly of loops that were made up."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.data.sources.joint import NODES, JointSource
from neurojax.data.synthetic import loops
from neurojax.data.synthetic.recipe import Recipe, recipe_of

# In squares of a standard deviation, summed over trials; the largest first, which is taken where
# no validation trial tells two apart. Down to next to nothing: what stays the same in a trial is
# read without noise.
PENALTIES = 10.0 ** np.arange(5, -5.01, -0.25)
MOST_TRIALS = 4000  # that ridge is fitted to, evenly spread
MOST_BYTES = 2**29  # of their inputs as float64
MOST_WORK = 1e11  # trials, times directions of the inputs squared, over all fits of a pattern
MOST_ENTRIES = 4096  # bins times channels of a loop whose exact mean is worked out


class Asked(NamedTuple):
    """A pattern put to trials of one session.

    Attributes:
        given, asked: bool [trials, T, O], entries; O runs over the channels of all nodes.
        values: float32 [trials, T, O], standardised.
    """

    given: np.ndarray
    asked: np.ndarray
    values: np.ndarray


class _Fit(NamedTuple):
    """Ridge of some outputs, for any penalty: weights of [inputs, outputs] are never made.

    Attributes:
        entries: int [outputs], where they stand in a trial's T * O entries.
        node: int [outputs], place in NODES.
        mean_x, mean_y: over the trials of the fit.
        right, size, along: of the singular values, [rank, inputs], [rank], [rank, outputs].
    """

    entries: np.ndarray
    node: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    right: np.ndarray
    size: np.ndarray
    along: np.ndarray

    def turned(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean_x) @ self.right.T

    def predicted(self, turned: np.ndarray, penalty: float, own=slice(None)) -> np.ndarray:
        shrunk = turned * (self.size / (np.square(self.size) + penalty))
        return shrunk @ self.along[:, own] + self.mean_y[own]


Ask = Callable[[int, np.ndarray], Asked]  # (session, trials) -> of a pattern


def columns(source: JointSource, number: int) -> dict[str, slice]:
    """Node -> where its channels stand on the axis O of a session."""
    units = source.sessions[number].num_units
    sizes = (source.facts.num_features, units, source.facts.num_targets)
    ends = np.cumsum(sizes).tolist()
    return {
        node: slice(end - size, end) for node, size, end in zip(NODES, sizes, ends, strict=True)
    }


def ridge(source: JointSource, number: int, ask: Ask, tested: Asked) -> dict[str, np.ndarray]:
    """Every entry that is asked from all that is given in its trial: each bin of a node is fitted
    to the train trials in which it is asked, where trials differ in length not to all. The penalty
    of each node is chosen by validation trials (by a tenth of the train trials where there are
    none).

    Returns:
        {"ridge", "bin_mean": float64 [trials, T, O]; the second is the mean of each bin over train
        trials, what ridge starts from}; nothing of a session with fewer than two trials to fit.
    """
    fitted_to, chosen_by = _trials(source, number)
    if len(fitted_to) < 2:
        return {}
    own = columns(source, number)
    fitted, chosen = ask(number, fitted_to), ask(number, chosen_by)
    inputs = fitted.given.any(0)  # [T, O]
    groups = _groups(fitted, own)
    fewer = _affordable(len(fitted_to), inputs.sum(), len(groups))
    if fewer < len(fitted_to):
        kept = _spread(np.arange(len(fitted_to)), fewer)
        fitted = Asked(*(one[kept] for one in fitted))
        groups = _groups(fitted, own)
    x, x_chosen, x_tested = (
        np.where(one.given, one.values, 0)[:, inputs].astype(np.float64)
        for one in (fitted, chosen, tested)
    )
    if x.shape[1] > len(x):
        # Ridge never leaves the span of its trials, and any rotation gives the same answer.
        basis = np.linalg.qr(x.T)[0]
        x, x_chosen, x_tested = x @ basis, x_chosen @ basis, x_tested @ basis
    best = _chosen_penalties(_fits(x, fitted, groups, own), x_chosen, chosen)
    found = {name: np.zeros(tested.values.shape) for name in ("ridge", "bin_mean")}
    flat = {name: one.reshape(len(one), -1) for name, one in found.items()}  # views
    for fit in _fits(x, fitted, groups, own):
        turned = fit.turned(x_tested)
        for place in np.unique(fit.node):
            of_node = fit.node == place
            said = fit.predicted(turned, best[place], of_node)
            flat["ridge"][:, fit.entries[of_node]] = said
        flat["bin_mean"][:, fit.entries] = fit.mean_y
    return found


def _trials(source: JointSource, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Trials that ridge is fitted to, and those that choose its penalties."""
    session = source.sessions[number]
    channels = columns(source, number)[NODES[-1]].stop
    most = MOST_BYTES // (8 * channels * source.facts.num_bins)
    train, chosen_by = (
        _spread(session.trials_of(split), max(2, min(MOST_TRIALS, most)))
        for split in (TRAIN, VALIDATION)
    )
    if not len(chosen_by):
        last = max(1, len(train) // 10)
        train, chosen_by = train[:-last], train[-last:]
    return train, chosen_by


def _spread(trials: np.ndarray, most: int) -> np.ndarray:
    return trials[np.linspace(0, len(trials) - 1, min(len(trials), most)).astype(int)]


def _affordable(trials: int, num_inputs: int, fits: int) -> int:
    """How many trials these fits may have, by what their singular values cost."""
    each = MOST_WORK / max(1, fits)
    return min(trials, max(2, int(max(each ** (1 / 3), each / max(1, num_inputs) ** 2))))


def _groups(fitted: Asked, own: Mapping[str, slice]) -> dict[bytes, tuple[np.ndarray, np.ndarray]]:
    """(trials in which they are asked, bool [trials]; bool [T, O]) of outputs that are asked in the
    same trials: one fit does for them."""
    found: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for channels in own.values():
        in_bin = fitted.asked[..., channels.start]  # all channels of a node alike
        for place in np.flatnonzero(in_bin.any(0)):
            rows = in_bin[:, place]
            _, outputs = found.setdefault(rows.tobytes(), (rows, np.zeros_like(fitted.asked[0])))
            outputs[place, channels] = True
    return found


def _fits(x: np.ndarray, fitted: Asked, groups: Mapping, own: Mapping[str, slice]) -> Iterator:
    """A `_Fit` of each group, one at a time: all of them would be large."""
    node = np.zeros(fitted.asked.shape[1:], int)
    for place, channels in enumerate(own.values()):
        node[:, channels] = place
    values = fitted.values.reshape(len(x), -1)
    for rows, outputs in groups.values():
        entries = np.flatnonzero(outputs)
        told, y = x[rows], values[np.ix_(np.flatnonzero(rows), entries)].astype(np.float64)
        mean_x, mean_y = told.mean(0), y.mean(0)
        left, size, right = np.linalg.svd(told - mean_x, full_matrices=False)
        along = left.T @ (y - mean_y)
        yield _Fit(entries, node[outputs], mean_x, mean_y, right, size, along)


def _chosen_penalties(fits: Iterator, x: np.ndarray, chosen: Asked) -> np.ndarray:
    """The penalty of each node with the least squared error, [nodes]."""
    errors = np.zeros((len(PENALTIES), len(NODES)))
    values, asked = (one.reshape(len(x), -1) for one in (chosen.values, chosen.asked))
    for fit in fits:
        turned, known = fit.turned(x), asked[:, fit.entries]
        for place, penalty in enumerate(PENALTIES):
            away = np.where(known, fit.predicted(turned, penalty) - values[:, fit.entries], 0)
            errors[place] += np.bincount(fit.node, np.square(away).sum(0), len(NODES))
    return PENALTIES[errors.argmin(0)]


def exact(source: JointSource, number: int, tested: Asked) -> np.ndarray | None:
    """The conditional mean of what is asked, float64 [trials, T, O]: nobody's squared error is
    smaller. None where it is not known: of a recording, of other columns than a loop's own, and
    where trials are not asked alike."""
    known = _loop_of(source, number)
    given, asked = tested.given[0], tested.asked[0]
    if known is None or (tested.given != given).any() or (tested.asked != asked).any():
        return None
    weights, _ = loops.conditional(loops.covariance(*known), given, asked)
    scales = [source.nodes[number][node].scale for node in NODES]
    centre, spread = (
        np.concatenate([getattr(scale, part) for scale in scales]).astype(np.float64)
        for part in ("centre", "spread")
    )
    raw = tested.values * spread + centre  # means of the loop are zero
    found = np.zeros(tested.values.shape)
    found[:, asked] = raw[:, given] @ weights.T
    return np.where(asked, (found - centre) / spread, 0)


def _loop_of(source: JointSource, number: int) -> Recipe | None:
    """How a session of `data.synthetic.loops` whose nodes are those of the loop was made; None of
    any other, whatever its folder says of it."""
    session = source.sessions[number]
    named = (source.names["stimulus"], source.names["behaviour"])
    made = recipe_of(session, "loops", loops.LoopSpec, "session")
    if made is None or named != ((loops.STIMULUS,), (loops.BEHAVIOUR,)):
        return None
    sizes = [one.stop - one.start for one in columns(source, number).values()]
    fits = (
        sizes == [loops.NUM_STIMULUS, made.spec.num_units, loops.NUM_BEHAVIOUR]
        and (session.trial_num_bins == made.spec.num_bins).all()
        and source.facts.num_bins == made.spec.num_bins  # longer where other sessions are
        and made.spec.num_bins * sum(sizes) <= MOST_ENTRIES
    )
    return made if fits else None
