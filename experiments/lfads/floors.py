"""Smoothing, and smoothing with principal components: the floors of experiments/lfads, by scipy and scikit-learn.

Rates of units that are seen: their counts smoothed by a Gaussian of 50 ms; or the same after a projection on the
leading principal components of all units. Rates of units held out: a Poisson regression from what is made of the
others. Number of components and penalty are chosen on validation trials, by the likelihood of the units held out.
"""

import warnings

import numpy as np
import scipy.ndimage
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor

WIDTH_S = 0.05
COMPONENTS, PENALTIES = (2, 4, 8, 16), (1e-3, 1e-1)
LEAST = 1e-3  # expected spikes per bin


def smoothed(counts: np.ndarray, bin_size_s: float) -> np.ndarray:
    """Counts [K, T, N] smoothed within trials."""
    return scipy.ndimage.gaussian_filter1d(counts.astype(np.float64), WIDTH_S / bin_size_s, axis=1)


def _regressed(fit, asked, wanted, penalty):
    """Rates of units [.., n] by a regression each, fitted to `fit` [rows, D] and `wanted` [rows, n]."""
    scale = fit.std(0) + 1e-9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [PoissonRegressor(alpha=penalty, max_iter=200).fit(fit / scale, column) for column in wanted.T]
    return [np.stack([model.predict(rows / scale) for model in models], -1) for rows in asked]


def _nll(rates, counts):
    return float((rates - counts * np.log(np.maximum(rates, LEAST))).mean())


def rates_of(counts: dict[str, np.ndarray], held_out: np.ndarray, bin_size_s: float) -> dict[str, dict]:
    """What each floor makes of test trials.

    Args:
        counts: of "train", "validation" and "test", [K, T, N].
        held_out: bool [N].
        bin_size_s: width of a bin.

    Returns:
        floor -> {"all": rates of all units from all, "held_out": rates of those held out from the others, both float64
        [K, T, .], expected spikes per bin; "chosen": penalty and, of "pca", components}.
    """
    smooth = {name: smoothed(values, bin_size_s) for name, values in counts.items()}
    rows = {name: values[..., ~held_out].reshape(-1, (~held_out).sum()) for name, values in smooth.items()}
    wanted = {name: values[..., held_out].reshape(-1, held_out.sum()) for name, values in counts.items()}
    shape = (*counts["test"].shape[:2], -1)

    def best(candidates):
        """(validation cost, rates of test, what was chosen) of the best of (features of each split, words)."""
        found = []
        for features, words in candidates:
            for penalty in PENALTIES:
                asked = [features["validation"], features["test"]]
                on_validation, on_test = _regressed(features["train"], asked, wanted["train"], penalty)
                found.append((_nll(on_validation, wanted["validation"]), on_test, words | {"penalty": penalty}))
        return min(found, key=lambda one: one[0])

    _, plain, chosen = best([(rows, {})])
    result = {"smoothing": {"all": smooth["test"], "held_out": plain.reshape(shape), "chosen": chosen}}
    pca = PCA(max(COMPONENTS)).fit(rows["train"])
    scores = {name: pca.transform(values) for name, values in rows.items()}
    candidates = [({name: values[:, :k] for name, values in scores.items()}, {"components": k}) for k in COMPONENTS]
    _, projected, chosen = best(candidates)
    everyone = PCA(chosen["components"]).fit(smooth["train"].reshape(-1, len(held_out)))
    back = everyone.inverse_transform(everyone.transform(smooth["test"].reshape(-1, len(held_out)))).reshape(shape)
    result["pca"] = {"all": np.maximum(back, LEAST), "held_out": projected.reshape(shape), "chosen": chosen}
    result["smoothing"]["all"] = np.maximum(result["smoothing"]["all"], LEAST)
    return result
