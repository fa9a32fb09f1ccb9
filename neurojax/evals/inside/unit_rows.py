"""Unit embeddings: a unit's row of the stitcher, and whether the row tells the unit's region.

Rows are learned from spikes alone. A linear classifier reads the region from a row, cross-validated
in two ways, with labels dealt anew among the units of each recording as the null: units left out
(do neighbours of one region look alike?), and recordings left out (does a region look alike in an
animal whose rows the classifier never saw?).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals.inside.views import Model, View, regions_of

TABLES = ("read_out", "read_in")  # what of a unit's rows is looked at
FOLDS, LEAST_UNITS, MAX_REGIONS = 5, 10, 12
NUM_PERMUTATIONS = 199
MAX_SHOWN = 1200  # units of the picture
_PENALTY = 0.1  # times the mean squared length of a row; not tuned


def embeddings(model: Model, views: Sequence[View], seed: int) -> dict[str, Any] | None:
    """Decodability of each table, and the rows of the first in two dimensions.

    Returns:
        tables: name -> units, recordings (see `decodability`; None where it cannot be asked);
        picture: x, y (leading principal components of the rows, standardised in each recording),
        region, recording of each unit shown. None where the model has no such rows, or no two
        regions have LEAST_UNITS units.
    """
    labels, of_view = _labels(views)
    names = [name for name in TABLES if name in model.tables]
    if not names or len(np.unique(labels[labels != ""])) < 2:
        return None
    found, picture = {}, None
    for name in names:
        rows = np.concatenate([_rows(model, view, name) for view in views])
        rows = _standardised(rows[labels != ""], of_view[labels != ""])
        own, groups = labels[labels != ""], of_view[labels != ""]
        found[name] = {
            "units": decodability(rows, own, groups, _folds(own, groups, seed), seed),
            "recordings": decodability(rows, own, groups, groups, seed)
            if len(np.unique(groups)) > 2
            else None,
        }
        picture = picture or _picture(rows, own, groups, views, seed)
    return {
        "tables": found,
        "picture": picture,
        "regions": np.unique(labels[labels != ""]).tolist(),
    }


def decodability(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: np.ndarray, seed: int
) -> dict[str, Any] | None:
    """Balanced accuracy of ridge regression to region labels, cross-validated.

    Args:
        rows: float [U, D], standardised within each recording.
        labels: text [U].
        groups: int [U], recording of each unit; labels are dealt within these.
        folds: int [U], fold that tests each unit.
        seed: of the permutations.

    Returns:
        accuracy, chance (mean over permutations), chance_p95, p, num_units, num_regions; None
        where a region is in no training fold, or rows do not vary (of a model that is untrained).
    """
    if not np.ptp(rows, axis=0).any():
        return None
    names, codes = np.unique(labels, return_inverse=True)
    readers = []
    for fold in np.unique(folds):
        tested = folds == fold
        if len(np.unique(codes[~tested])) < len(names):
            return None
        fitted = rows[~tested]
        gram = fitted.T @ fitted
        gram[np.diag_indices_from(gram)] += _PENALTY * np.trace(gram) / len(gram)
        readers.append((tested, rows[tested] @ np.linalg.solve(gram, fitted.T)))

    def accuracy(given: np.ndarray) -> float:
        right = np.zeros(len(given), bool)
        for tested, reader in readers:
            wanted = np.eye(len(names))[given[~tested]]
            share = np.maximum(wanted.mean(0), 1e-9)
            # regions of few units are asked for as loudly as those of many
            told = reader @ ((wanted - share) / np.sqrt(share))
            right[tested] = told.argmax(1) == given[tested]
        return float(np.mean([right[given == code].mean() for code in range(len(names))]))

    rng, drawn = np.random.default_rng([seed, 15]), []
    places = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for _ in range(NUM_PERMUTATIONS):
        dealt = np.array(codes)
        for own in places:
            dealt[own] = codes[rng.permutation(own)]
        if all(len(np.unique(dealt[~tested])) == len(names) for tested, _ in readers):
            drawn.append(accuracy(dealt))
    value = accuracy(codes)
    return {
        "accuracy": value,
        "chance": float(np.mean(drawn)) if drawn else None,
        "chance_p95": float(np.quantile(drawn, 0.95)) if drawn else None,
        "p": float((1 + np.sum(np.asarray(drawn) >= value)) / (1 + len(drawn))),
        "num_units": len(rows),
        "num_regions": len(names),
    }


def _labels(views: Sequence[View]) -> tuple[np.ndarray, np.ndarray]:
    """(region of each unit of all views, "" where it is not asked for; place of its view)."""
    found = []
    for view in views:
        own = np.full(view.session.num_units, "", object)
        for name, units in regions_of(view).items():
            own[units] = name
        found.append(own)
    labels = np.concatenate(found)
    names, sizes = np.unique(labels[labels != ""].astype(str), return_counts=True)
    order = np.argsort(-sizes, kind="stable")[:MAX_REGIONS]
    kept = {str(names[place]) for place in order if sizes[place] >= LEAST_UNITS}
    labels = np.array([name if name in kept else "" for name in labels])
    return labels, np.repeat(np.arange(len(views)), [len(one) for one in found])


def _rows(model: Model, view: View, table: str) -> np.ndarray:
    place = model.layout.session_ids.index(view.session.session_id)
    first = int(model.layout.first_row[place])
    rows = model.tables[table]
    rows = rows[0] if rows.ndim == 3 else rows  # of an ensemble the first member
    return np.asarray(rows[first : first + view.session.num_units], np.float64)


def _standardised(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Each column around its mean in a recording, over its spread there."""
    found = np.array(rows)
    for group in np.unique(groups):
        own = groups == group
        found[own] -= found[own].mean(0)
        found[own] /= found[own].std(0) + 1e-9
    return found


def _folds(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Fold of each unit: every recording's units of every region are dealt to all folds alike."""
    rng = np.random.default_rng([seed, 16])
    order = rng.permutation(len(labels))
    order = order[np.lexsort((groups[order], labels[order]))]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % FOLDS
    return folds


def _picture(rows, labels, groups, views: Sequence[View], seed: int) -> Mapping[str, Any]:
    left, sizes, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    points = left[:, :2] * sizes[:2]
    some = np.sort(np.random.default_rng([seed, 17]).permutation(len(rows))[:MAX_SHOWN])
    names = [view.session.session_id for view in views]
    return {
        "x": np.round(points[some, 0], 3).tolist(),
        "y": np.round(points[some, -1], 3).tolist(),
        "region": labels[some].tolist(),
        "recording": [names[place] for place in groups[some]],
    }
