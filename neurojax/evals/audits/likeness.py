"""Do test items repeat training items, lie elsewhere, or belong to clusters the decoder cannot
leave?

Sources: nearest neighbours and clusters shared by training and test, and identification of a
cluster that training never saw: Shirakawa et al. 2024, Spurious reconstruction from brain activity,
arXiv 2405.10078.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

from neurojax.evals.audits.findings import finding, nothing, share_of_draws
from neurojax.evals.audits.parts import OF_NUMBERS, Part

DRAWS = 999
MAX_BLOCKS = 8  # stretches of bins an item is summed over
CLUSTERS = 8
KMEANS_STEPS = 20
FIRST_NEIGHBOURS = 16
LEAST_ITEMS = 8  # of each split
NEAREST_LOG = -5.0  # log of distance over the typical one, at least: a copy counts as this near
IDENTIFIED = 0.5  # by a decoder that saw all clusters, else nothing is asked of a missing one
PENALTY = 1.0  # of the ridge decoder, times the mean variance of a feature
_NEAREST = (
    "mean log of the distance to the nearest training item, over that of typical items; the null "
    "draws which items are test items again"
)
_OVERLAP = "overlap of test and training items over clusters of both, 1: alike; null as above"
_HELD_OUT = (
    "items of a cluster that training never saw, told from the training clusters by a ridge "
    "decoder of the same inputs (the system itself is not trained again); null: a guess"
)


class Pool(NamedTuple):
    """Items of both splits of a part: features [n + m, F], and which are test items, bool."""

    features: np.ndarray
    is_test: np.ndarray
    unit: np.ndarray | None


def nearest_training_item(parts: Sequence[Part], seed: int) -> dict[str, Any]:
    """Are test items closer to training items than chance makes them?"""
    pools = [_pool(part) for part in parts if _is_enough(part)]
    if not pools:
        return nothing(_NEAREST, f"no recording has {LEAST_ITEMS} items of both splits")
    near = [_neighbours(pool.features) for pool in pools]

    def statistic(tests: Sequence[np.ndarray]) -> float:
        logs = [
            _nearest_of_others(order, logs, test)
            for (order, logs), test in zip(near, tests, strict=True)
        ]
        return float(np.maximum(np.concatenate(logs), NEAREST_LOG).mean())

    return _against_redrawn(statistic, pools, _NEAREST, seed)


def cluster_overlap(parts: Sequence[Part], seed: int) -> dict[str, Any]:
    """Do test items lie where training items lie? Clusters are found without the split."""
    pools = [_pool(part) for part in parts if _is_enough(part)]
    if not pools:
        return nothing(_OVERLAP, f"no recording has {LEAST_ITEMS} items of both splits")
    clusters = [_clusters(pool.features, CLUSTERS, seed)[1] for pool in pools]

    def statistic(tests: Sequence[np.ndarray]) -> float:
        shares = []
        for own, test in zip(clusters, tests, strict=True):
            here, there = (np.bincount(own[some], minlength=CLUSTERS) for some in (test, ~test))
            shares.append(np.minimum(here / here.sum(), there / there.sum()).sum())
        return float(np.mean(shares))

    return _against_redrawn(statistic, pools, _OVERLAP, seed)


def held_out_cluster(parts: Sequence[Part], seed: int) -> dict[str, Any]:
    """Can a decoder of these inputs leave the clusters of its training targets?"""
    parts = [part for part in parts if len(part.train_targets) >= 10 * CLUSTERS]
    if not parts:
        return nothing(_HELD_OUT, f"fewer than {10 * CLUSTERS} training items")
    if any(part.kind in OF_NUMBERS for part in parts):
        return nothing(_HELD_OUT, "targets are numbers of classes or candidates, in no space")
    inside, outside = [], []
    for part in parts:
        inputs, targets = _summed(part.train_inputs), _summed_targets(part.train_targets)
        centres, own = _clusters(targets, CLUSTERS, seed)
        found = identification(inputs, targets, centres, own, seed)
        inside.append(found[0])
        outside.append(found[1])
    known, new = np.concatenate(inside), np.concatenate(outside)
    chance = 1 / CLUSTERS
    if known.mean() < IDENTIFIED:
        return nothing(
            _HELD_OUT,
            f"even clusters that were trained on are told apart in {known.mean():.2f} of the items "
            f"only (asked from {IDENTIFIED})",
        )
    p_value = float(stats.binom.cdf(new.sum(), len(new), chance))
    return finding(new.mean(), chance, _HELD_OUT, p_value=p_value, trained_on=float(known.mean()))


def identification(
    inputs: np.ndarray, targets: np.ndarray, centres: np.ndarray, own: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Is the predicted target nearest to the centre of its own cluster? Ridge, two ways of folds.

    Args:
        inputs: [m, C].
        targets: [m, K].
        centres: [clusters, K].
        own: int [m], the cluster of each item.
        seed: of the folds of items.

    Returns:
        (1 or 0 of each item by a decoder that saw every cluster but not the item, and by one that
        did not see its cluster), float64 [m].
    """
    fold = np.random.default_rng(seed).permutation(len(inputs)) % len(centres)
    right = []
    for held_out in (fold, own):
        found = np.zeros(len(inputs))
        for value in np.unique(held_out):
            test = held_out == value
            if test.all():
                continue
            predicted = ridge(inputs[~test], targets[~test])(inputs[test])
            found[test] = cdist(predicted, centres).argmin(1) == own[test]
        right.append(found)
    return right[0], right[1]


def ridge(inputs: np.ndarray, targets: np.ndarray, penalty: float = PENALTY):
    """A ridge decoder: a function inputs [n, C] -> targets [n, K]."""
    mean, middle = inputs.mean(0), targets.mean(0)
    centred = inputs - mean
    scale = max(float(np.square(centred).mean()), 1e-12)
    if len(centred) < centred.shape[1]:  # the dual form, where channels outnumber items
        gram = centred @ centred.T + penalty * scale * np.eye(len(centred))
        weights = centred.T @ np.linalg.solve(gram, targets - middle)
    else:
        gram = centred.T @ centred + penalty * scale * np.eye(centred.shape[1])
        weights = np.linalg.solve(gram, centred.T @ (targets - middle))
    return lambda asked: (asked - mean) @ weights + middle


def _is_enough(part: Part) -> bool:
    return min(len(part.targets), len(part.train_targets)) >= LEAST_ITEMS


def _against_redrawn(statistic, pools: Sequence[Pool], words: str, seed: int) -> dict[str, Any]:
    """A statistic that is small where something is wrong, against test items drawn again."""
    rng = np.random.default_rng([seed, 1])
    observed = statistic([pool.is_test for pool in pools])
    draws = [statistic([_redrawn(pool, rng) for pool in pools]) for _ in range(DRAWS)]
    p_value = share_of_draws(observed, draws, higher_is_bad=False)
    return finding(observed, float(np.mean(draws)), words, p_value=p_value)


def _redrawn(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Other test items, as many; whole people or recordings where these divide the splits."""
    if pool.unit is None:
        return rng.permutation(pool.is_test)
    names, of_item = np.unique(pool.unit, return_inverse=True)
    tested = np.zeros(len(names), bool)
    tested[of_item[pool.is_test]] = True
    return rng.permutation(tested)[of_item]


def _pool(part: Part) -> Pool:
    numbers = None
    if part.kind in OF_NUMBERS:  # a class may be in one split alone
        numbers = np.unique(np.concatenate([part.targets, part.train_targets]))
    both = [
        np.concatenate([_features(inputs), _summed_targets(targets, numbers)], axis=1)
        for inputs, targets in (
            (part.inputs, part.targets),
            (part.train_inputs, part.train_targets),
        )
    ]
    features = np.concatenate(both)
    spread = features.std(0)
    features = (features - features.mean(0))[:, spread > 0] / spread[spread > 0]
    unit = None if part.train_unit is None else np.concatenate([part.people, part.train_unit])
    return Pool(features, np.arange(len(features)) < len(part.targets), unit)


def _features(inputs: np.ndarray) -> np.ndarray:
    """Inputs summed in up to MAX_BLOCKS stretches of bins, float64 [n, stretches x C]."""
    blocks = np.array_split(np.asarray(inputs, np.float64), min(MAX_BLOCKS, inputs.shape[1]), 1)
    return np.concatenate([block.sum(1) for block in blocks], axis=1)


def _summed(inputs: np.ndarray) -> np.ndarray:
    return np.asarray(inputs, np.float64).sum(1)


def _summed_targets(targets: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    """Targets as float64 [n, K]: those of `numbers` as indicators, bins summed."""
    targets = np.asarray(targets)
    if numbers is not None:
        return (targets[:, None] == numbers[None]).astype(np.float64)
    return np.asarray(targets, np.float64).reshape(len(targets), -1, targets.shape[-1]).sum(1)


def _log_distances(features: np.ndarray) -> np.ndarray:
    """Log of distances over the median distance to a nearest item, [n, n]."""
    distances = cdist(features, features)
    others = distances + np.diag(np.full(len(distances), np.inf))
    typical = max(float(np.median(others.min(1))), 1e-12)
    return np.log(np.maximum(distances / typical, 1e-12))


def _neighbours(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each item's others, the nearest first, and the logs of their distances as above, [n, n]."""
    logs = _log_distances(features)
    np.fill_diagonal(logs, np.inf)
    order = np.argsort(logs, axis=1)
    return order, np.take_along_axis(logs, order, axis=1)


def _nearest_of_others(order: np.ndarray, logs: np.ndarray, is_test: np.ndarray) -> np.ndarray:
    """Log distance of each test item to its nearest training item, float64 [test items]."""
    own, trained = np.flatnonzero(is_test), ~is_test
    found = np.full(len(own), -1)
    # Nearly always one of the first neighbours is a training item; the rest is looked at in full.
    for width in (FIRST_NEIGHBOURS, order.shape[1]):
        open_rows = np.flatnonzero(found < 0)
        if len(open_rows):
            among = trained[order[own[open_rows], :width]]
            found[open_rows] = np.where(among.any(1), among.argmax(1), -1)
    return logs[own, found]


def _clusters(features: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(centres [number, F], cluster of each item); k-means, the best of three starts."""
    best = None
    for start in range(3):
        rng = np.random.default_rng([seed, start])
        centres = np.array(features[rng.choice(len(features), number, replace=False)])
        for _ in range(KMEANS_STEPS):
            distance = cdist(features, centres, "sqeuclidean")
            own = distance.argmin(1)
            for one in range(number):  # a cluster without an item takes the one farthest from any
                mine = own == one
                centres[one] = (
                    features[mine].mean(0) if mine.any() else features[_farthest(distance)]
                )
        own = cdist(features, centres, "sqeuclidean").argmin(1)
        error = np.square(features - centres[own]).sum()
        if best is None or error < best[0]:
            best = (error, centres, own)
    return best[1], best[2]


def _farthest(distance: np.ndarray) -> int:
    return int(distance.min(1).argmax())
