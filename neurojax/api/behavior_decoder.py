"""`BehaviorDecoder`: ridge or logistic regression at given lags, as an estimator of scikit-learn.

As in `embedder`, scikit-learn is imported at the top, and this module when
`neurojax.BehaviorDecoder` is asked for.
"""

import numbers
from typing import Any

import numpy as np

from neurojax.api.embedder import trial_starts
from neurojax.errors import InputError, require, whole_number
from neurojax.evals.decoding import calibration, probes
from neurojax.evals.decoding.features import parse_lags

try:
    from sklearn import model_selection
    from sklearn.base import BaseEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.utils import ClassifierTags, RegressorTags
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise InputError(
        "neurojax.BehaviorDecoder needs scikit-learn 1.6 or newer; pip install 'neurojax[probes]'"
    ) from None

KINDS = ("regression", "classification")


class BehaviorDecoder(BaseEstimator):
    """Ridge or logistic regression whose penalty is chosen by cross-validation over trials, never
    over bins.

    Args:
        kind: "regression" of one or several signals, each with a penalty of its own, or
            "classification", whose probabilities are tempered (Guo et al. 2017).
        lags: bins around each row that it is read from, such as "-4:4"; they stay within a trial.
            With other lags than "0:0" rows are successive bins, and their order matters.
        num_folds: of the choice; fewer where there are fewer trials, or fewer that hold some class.
            Where no two can be made (one trial, or a class that one trial alone holds), the middle
            of the grid and temperature 1 are taken.
        grid: penalties (regression) or inverse penalties C (classification) to choose from;
            default: decades, 0.1 to 1e6 or 1e-4 to 1e4.

    Attributes:
        chosen_: penalty of each output, or the C.
        coef_, intercept_: regression: [features * lags, outputs] and [outputs], of X as it comes
            in.
        classes_, temperature_: classification.
    """

    def __init__(
        self, kind: str = "regression", lags: str = "0:0", num_folds: int = 5, grid: Any = None
    ):
        self.kind = kind
        self.lags = lags
        self.num_folds = num_folds
        self.grid = grid

    def fit(self, X, y, trials=None) -> "BehaviorDecoder":
        """Fits to rows of features.

        Args:
            X: [rows, features], such as counts or embeddings of bins.
            y: numbers [rows] or [rows, outputs], or one label a row.
            trials: [rows], a label for each row, the same within a trial; folds hold whole trials.
                Default: all rows are of one trial, and folds are stretches of rows.

        Raises:
            InputError: an option that is none, one class alone.
        """
        require(self.kind in KINDS, f"kind={self.kind!r}; choose from {', '.join(KINDS)}")
        whole_number(self.num_folds, "num_folds", 2)
        regression = self.kind == "regression"
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            multi_output=regression,
            y_numeric=regression,
            ensure_min_samples=2,
        )
        rows = self._with_lags(X, trials)
        known, mean, scale = _standardised(rows)
        if regression:
            return self._fit_ridge(known, y, trials, mean, scale)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        require(
            len(self.classes_) >= 2,
            f"y holds 1 class, {self.classes_[0]!r}; a constant cannot be decoded",
        )
        return self._fit_logistic(known, codes, trials, mean, scale)

    def predict(self, X, trials=None) -> np.ndarray:
        """Numbers [rows] or [rows, outputs], or labels [rows]."""
        check_is_fitted(self)
        if self.kind == "classification":
            return self.classes_[self.predict_proba(X, trials).argmax(1)]
        found = self._rows(X, trials) @ self.coef_ + self.intercept_
        return found[:, 0] if self._one_output else found

    @available_if(lambda self: self.kind == "classification")
    def predict_proba(self, X, trials=None) -> np.ndarray:
        """Tempered probabilities [rows, classes]."""
        check_is_fitted(self)
        log_probs = self._logistic.predict_log_proba(
            (self._rows(X, trials) - self._mean) * self._scale
        )
        return np.exp(calibration.tempered(np.maximum(log_probs, np.log(1e-12)), self.temperature_))

    def score(self, X, y, trials=None) -> float:
        """R2, the mean over outputs, or balanced accuracy."""
        scored = balanced_accuracy_score if self.kind == "classification" else r2_score
        return float(scored(y, self.predict(X, trials)))

    def _fit_ridge(self, known, y, trials, mean, scale) -> "BehaviorDecoder":
        self._one_output = y.ndim == 1
        wanted = y.reshape(len(y), -1).astype(np.float64)
        grid = self._grid(probes.PENALTIES)
        errors, folds = (
            np.zeros((len(grid), wanted.shape[1])),
            self._folds(trials, np.zeros(len(y), int)),
        )
        for fitting, asked in folds:
            weights, intercept = ridge_path(known[fitting], wanted[fitting], grid)
            errors += np.square(known[asked] @ weights + intercept[:, None] - wanted[asked]).sum(1)
        best = errors.argmin(0) if folds else np.full(wanted.shape[1], len(grid) // 2)
        weights, intercept = ridge_path(known, wanted, grid)
        outputs = np.arange(wanted.shape[1])
        self.chosen_ = np.asarray(grid)[best]
        self.coef_ = weights[best, :, outputs].T * scale[:, None]
        self.intercept_ = intercept[best, outputs] - mean @ self.coef_
        return self

    def _fit_logistic(self, known, codes, trials, mean, scale) -> "BehaviorDecoder":
        grid = self._grid(probes.INVERSE_PENALTIES)
        held_out, folds = (
            np.zeros((len(grid), len(codes), len(self.classes_))),
            self._folds(trials, codes),
        )
        for fitting, asked in folds:
            held_out[:, asked] = probes.logistic(
                known[fitting], codes[fitting], known[asked], grid, len(self.classes_)
            )
        self.temperature_, best = 1.0, len(grid) // 2
        if folds:
            best = int(held_out[:, np.arange(len(codes)), codes].mean(1).argmax())
            self.temperature_ = calibration.fit_temperature(held_out[best], codes)
        self.chosen_, self._mean, self._scale = grid[best], mean, scale
        self._logistic = LogisticRegression(C=self.chosen_, max_iter=2000).fit(known, codes)
        return self

    def _folds(self, trials, codes: np.ndarray) -> list:
        """(fitting rows, asked rows): whole trials, classes spread evenly; none where a class is
        not in every fit."""
        if trials is None:
            groups, kind, most = None, "KFold", np.bincount(codes).min()
        else:
            groups, kind = np.asarray(trials), "GroupKFold"
            most = min(len(np.unique(groups[codes == code])) for code in np.unique(codes))
        kind = f"Stratified{kind}" if self.kind == "classification" else kind
        splitter = getattr(model_selection, kind)
        if (num_folds := int(min(self.num_folds, most))) < 2:
            return []
        folds = list(splitter(num_folds).split(codes, codes, groups))
        return (
            folds
            if all(len(np.unique(codes[fitting])) == codes.max() + 1 for fitting, _ in folds)
            else []
        )

    def _rows(self, X, trials) -> np.ndarray:
        return self._with_lags(validate_data(self, X, reset=False, dtype=np.float64), trials)

    def _with_lags(self, X: np.ndarray, trials) -> np.ndarray:
        """[rows, features * lags], zero beyond the ends of a trial."""
        starts = np.zeros(1, int) if trials is None else trial_starts(trials, len(X))
        trial = np.searchsorted(starts, np.arange(len(X)), side="right")
        parts = []
        for lag in parse_lags(self.lags):
            place = np.clip(np.arange(len(X)) + lag, 0, len(X) - 1)
            within = (place == np.arange(len(X)) + lag) & (trial[place] == trial)
            parts.append(np.where(within[:, None], X[place], 0.0))
        return np.concatenate(parts, axis=1)

    def _grid(self, default) -> tuple[float, ...]:
        given = default if self.grid is None else self.grid
        grid = tuple(given) if np.iterable(given) else ()
        require(
            grid and all(isinstance(value, numbers.Real) and 0 < value < np.inf for value in grid),
            f"grid={self.grid!r}; expected a sequence of positive numbers, such as (0.1, 1, 10)",
        )
        return grid

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.kind == "classification":
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
            tags.target_tags.multi_output = True
        return tags


def ridge_path(rows: np.ndarray, targets: np.ndarray, penalties) -> tuple[np.ndarray, np.ndarray]:
    """Ridge weights with an unpenalised intercept for every penalty: float64 [penalties, P, dims],
    [penalties, dims].

    Args:
        rows: float64 [n, P].
        targets: float64 [n, dims].
        penalties: positive.
    """
    centre, mean = rows.mean(0), targets.mean(0)
    left, sizes, right = np.linalg.svd(rows - centre, full_matrices=False)
    inner = left.T @ (targets - mean)  # [r, dims]
    shrunk = sizes / (sizes**2 + np.asarray(penalties)[:, None])  # [penalties, r]
    weights = right.T @ (shrunk[:, :, None] * inner)
    return weights, mean - centre @ weights


def _standardised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with mean 0 and variance 1 (constants 0), and the mean and scale that did it."""
    mean, spread = rows.mean(0), rows.std(0)
    scale = np.where(spread > 1e-8, 1 / np.where(spread > 1e-8, spread, 1.0), 0.0)
    return (rows - mean) * scale, mean, scale
