"""People and models together: a logistic combination of two signed certainties, cross-validated.

Each reader of a pair of texts says which version is true and how sure it is: one number, above
zero for version B. A team is the logistic regression of the label on these numbers without an
intercept, so that swapping the versions swaps the answer.

Source of the idea: Yanez et al. 2024, Confidence-weighted integration of human and machine
judgments for superior decision-making, arXiv 2408.08083.
"""

import numpy as np

from neurojax.errors import require

PENALTY = 1e-3  # of the squared weights, beside the mean loss: keeps separable data finite
NEWTON_STEPS = 50


def fit(features: np.ndarray, label: np.ndarray, penalty: float = PENALTY) -> np.ndarray:
    """Weights of a logistic regression without an intercept, by Newton's method.

    Args:
        features: float [n, F].
        label: 0 or 1 [n].
        penalty: of the squared weights, in nats an answer.

    Returns:
        float64 [F].
    """
    features, label = np.asarray(features, np.float64), np.asarray(label, np.float64)
    weights = np.zeros(features.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = expected(features, weights)
        gradient = features.T @ (probability - label) / len(label) + penalty * weights
        spread = probability * (1 - probability)
        curvature = (features * spread[:, None]).T @ features / len(label)
        step = np.linalg.solve(curvature + penalty * np.eye(len(weights)), gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def expected(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probability of label 1, float64 [n]."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(features, np.float64) @ weights, -500, 500)))


def cross_validated(features: np.ndarray, label: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Probability of label 1 of every answer, from weights fitted to the other folds.

    Features are divided by their root mean square in the folds that are fitted, so that the
    penalty means the same for each.

    Args:
        features: float [n, F].
        label: 0 or 1 [n].
        fold: [n]; answers to one item belong into one fold.

    Returns:
        float64 [n].

    Raises:
        InputError: fewer than two folds.
    """
    features, fold = np.asarray(features, np.float64), np.asarray(fold)
    folds = np.unique(fold)
    require(len(folds) >= 2, f"{len(folds)} fold; expected two or more")
    found = np.empty(len(features))
    for held_out in folds:
        own = fold == held_out
        scale = np.sqrt(np.square(features[~own]).mean(0))
        scaled = features / np.where(scale > 0, scale, 1.0)
        found[own] = expected(scaled[own], fit(scaled[~own], np.asarray(label)[~own]))
    return found


def folds_of_items(item: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """A fold of each answer, int [n]: whole items at random, in folds of about equal size."""
    names, of_answer = np.unique(item, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % num_folds)[of_answer]


def agrees(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """1 where the likelier label is the true one, 0 where it is not, 0.5 at a tie; float64 [n]."""
    lean = np.where(np.asarray(label) == 1, 1, -1) * np.sign(np.asarray(probability) - 0.5)
    return (lean + 1) / 2
