"""Poisson regression of each unit on principal components of the visible population.

log rate = log PSTH + intercept + w . (scores now, scores averaged over the trial), the scores being
the leading components of ridge's features in train, not whitened, so that the L2 penalty acts as
ridge on them. A unit's own contribution is taken out of the scores, in the fit and in the
prediction, where its weight on itself is exactly zero. Region tasks have components of the units
they may see. Forward: scores of two causal exponential averages, plus the unit's own log gains so
far. Number of components, penalty and memories from validation.
"""

import numpy as np
from scipy.linalg import eigh

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import grids
from neurojax.evals.baselines.ahead import SLOWER
from neurojax.evals.baselines.features import Activity
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Folds,
    filtered_surplus,
    padded_psth,
    poisson_loss,
)
from neurojax.evals.baselines.gain_ahead import (
    GainsAhead,
    log_gains_so_far,
    past_observed_expected,
    tuned_ahead,
)
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson

# walked from the first at FIRST_PENALTY; then the penalty with the best
COMPONENTS = (64, 32, 16, 8)
PENALTIES = (6.0, 20.0, 60.0, 200.0, 600.0, 2000.0)
FIRST_PENALTY = 200.0
FORWARD_COMPONENTS = 16
# the first with every memory, the others with the best
FORWARD_PENALTIES = (30.0, 10.0, 100.0, 300.0)


def leading_components(gram: np.ndarray, num_components: int) -> np.ndarray:
    """Leading eigenvectors, largest first, float32 [n, min(n, num_components)]."""
    n = len(gram)
    if n == 0:
        return np.zeros((0, 0), np.float32)
    _, vectors = eigh(gram, subset_by_index=[max(n - num_components, 0), n - 1])
    return vectors[:, ::-1].astype(np.float32)


def fit_activity(folds: Folds, task: str, psth: np.ndarray, activity: Activity) -> Fit:
    """A leave-out task from given features."""
    groups = folds.groups[task]
    spikes = folds.parts[TRAIN].counts[folds.parts[TRAIN].bin_valid]  # [rows, n]
    # Of the visible units alone: components of all would hold what is hidden.
    bases = [leading_components(activity.gram[np.ix_(v, v)], max(COMPONENTS)) for v, _ in groups]
    best: tuple[float, np.ndarray, np.ndarray, dict[str, float]] | None = None
    first, larger = PENALTIES.index(FIRST_PENALTY), {}

    def losses_of(number):
        """penalty's place -> {task: loss}; a fit starts where the one before ended."""
        cut = [basis[:, :number] for basis in bases]
        designs = [
            _leave_out_design(folds, psth, activity, visible, scored, basis)
            for (visible, scored), basis in zip(groups, cut, strict=True)
        ]
        # From what more components found, cut: theirs are the same but for the last ones.
        warm = {
            group: _cut(*start, cut[group].shape[1], designs[group][1])
            for group, start in larger.items()
        }

        def losses_at(place):
            nonlocal best
            found = []
            for group, ((_, scored), (design, rotation)) in enumerate(
                zip(groups, designs, strict=True)
            ):
                penalties = np.concatenate([[0.0], np.full(len(rotation), PENALTIES[place])])
                # So near the minimum that scores do not depend on where a fit started.
                options = {"tolerance": 0.01, "by_curvature": True}
                warm[group] = fit_poisson(
                    design, spikes[:, scored], penalties, warm.get(group), **options
                )
                found.append((rotation @ warm[group][1:], warm[group][0]))
                if place == first:
                    larger[group] = found[-1]
            weights, intercept = _on_units(activity, groups, cut, found)
            rates = _rates(folds, psth, activity, weights, intercept, VALIDATION)
            loss = poisson_loss(rates, folds.parts[VALIDATION], task)
            if best is None or loss < best[0]:
                best = (
                    loss,
                    weights,
                    intercept,
                    {"num_components": number, "penalty": PENALTIES[place]},
                )
            return {task: loss}

        return losses_at

    kept = None  # losses of the best number so far; the designs of the others are let go

    def at_first_penalty(place):
        nonlocal kept
        losses_at = losses_of(COMPONENTS[place])
        losses = losses_at(first)
        if kept is None or losses[task] < kept[0][task]:
            kept = losses, losses_at
        return losses

    grids.climb(len(COMPONENTS), 0, at_first_penalty)
    losses, losses_at = kept
    grids.climb(len(PENALTIES), first, lambda place: losses if place == first else losses_at(place))
    rates = {part: _rates(folds, psth, activity, *best[1:3], part) for part in PARTS}
    return Fit(rates, {**best[3], **activity.family._asdict()})


def _cut(of_components, constant, number, rotation):
    """Weights [1 + p, n] that a fit of `number` components starts from: those on more of them,
    [blocks x more, n], without the last, and the intercepts [n]."""
    num_blocks = max(len(rotation) // max(number, 1), 1)
    more = len(of_components) // num_blocks  # written out: nothing may be scored, n = 0
    kept = of_components.reshape(num_blocks, more, len(constant))[:, :number]
    return np.concatenate(
        [constant[None], rotation.T @ kept.reshape(rotation.shape[0], len(constant))]
    )


def _on_units(activity, groups, bases, found):
    """Weights on features [p, n] and intercepts [n], from those on components."""
    n = activity.cross.shape[1]
    weights, intercept = np.zeros((len(activity.gram), n), np.float32), np.zeros(n, np.float32)
    for (visible, scored), basis, (of_components, constant) in zip(
        groups, bases, found, strict=True
    ):
        intercept[scored] = constant
        if not basis.size:
            continue
        for block, part in enumerate(np.split(of_components, len(of_components) // basis.shape[1])):
            matrix = basis @ part  # [visible, scored]; now, then averaged over the trial
            matrix[visible[:, None] == scored] = 0  # no unit sees itself
            weights[np.ix_(block * n + visible, scored)] = matrix
    return weights, intercept


def _rates(folds, psth, activity, weights, intercept, part):
    gain = activity.apply(weights, part) + intercept
    return padded_psth(psth, gain.shape[1]) * np.exp(np.minimum(gain, MAX_LOG_GAIN))


def _leave_out_design(folds, psth, activity, visible, scored, vectors):
    """Design of ones and rotated scores of each block of features; and the rotation."""
    train = folds.parts[TRAIN]
    valid, now = train.bin_valid, activity.now[TRAIN]
    blocks = [now]
    if activity.average:
        blocks.append(np.broadcast_to(activity.average[TRAIN][:, None], now.shape))
    scores = [block[valid][:, visible] @ vectors for block in blocks]  # [rows, k] each
    k = vectors.shape[1]
    shared = np.concatenate([np.ones((len(scores[0]), 1), np.float32), *scores], 1)
    # to uncorrelated columns, for which the solver's diagonal preconditioner is a good one
    _, rotation = np.linalg.eigh((shared[:, 1:].T @ shared[:, 1:]).astype(np.float64))
    rotation = rotation.astype(np.float32)
    shared[:, 1:] = shared[:, 1:] @ rotation
    # What each unit puts into the scores, taken out again for itself: A of `poisson_fit`.
    own_rows = np.zeros((len(scored), k), np.float32)
    position = {unit: row for row, unit in enumerate(visible)}
    inside = [i for i, unit in enumerate(scored) if unit in position]
    own_rows[inside] = vectors[[position[scored[i]] for i in inside]]
    ties = [np.zeros((len(scored), shared.shape[1]), np.float32) for _ in blocks]
    for place, tie in enumerate(ties):
        tie[:, 1:] = -own_rows @ rotation[place * k : (place + 1) * k]
    expected = np.broadcast_to(padded_psth(psth, valid.shape[1]).astype(np.float32), now.shape)
    if train.observed is not None:  # rows of no offset are left out of a unit's fit
        expected = np.where(train.observed, expected, np.float32(0))
    own = tuple(block[valid][:, scored] for block in blocks)
    return Design(shared, own, tuple(ties), expected[valid][:, scored]), rotation


def fit_forward(folds: Folds, psth: np.ndarray, gram: np.ndarray) -> list[Fit]:
    """The forward task: one fit for each memory that was tried, the best on validation first.

    Args:
        gram: [n, n], inner products of the units' activity in train, of which the components are.
    """
    vectors, ahead = leading_components(gram, FORWARD_COMPONENTS), GainsAhead(folds, psth)

    def with_memories(memories_s):
        banks = memories_s[0], SLOWER * memories_s[0]
        past = {part: past_observed_expected(folds, psth, part) for part in (TRAIN, *PARTS)}
        bin_size_s = folds.session.bin_size_s
        own = {part: log_gains_so_far(*pair, memories_s, bin_size_s) for part, pair in past.items()}
        shared = {
            part: np.concatenate(
                [f @ vectors for f in filtered_surplus(folds, psth, part, banks)], -1
            )
            for part in own
        }
        return ahead.fits(own, shared)

    return tuned_ahead(folds, FORWARD_PENALTIES, with_memories)
