"""Linear floors for speech from EEG, each person alone: from the signal to the speech, and back.

ridge     predicts the features of a bin from the samples after it; candidates by agreement
encoding  predicts the signal from the features before it, and how its errors go together over
          channels; candidates by the likelihood of the signal that was seen
"""

from collections.abc import Callable

import numpy as np

LAGS = tuple(range(7))  # bins by which a signal may follow the speech: 0 to 240 ms at 25 Hz
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the mean square of a predictor
_VALIDATED = 0.1  # of the windows, the last ones


Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ridge(values: np.ndarray, speech: np.ndarray) -> Score:
    """Fits one person; the penalty is chosen on the last tenth of the windows, then all are used.

    Args:
        values: float [W, T, C], standardised.
        speech: float [W, T, F].

    Returns:
        (values [any, T, C], candidates [K, T, F]) -> float64 [any, K], higher is likelier.
    """
    predict = predictor(values, speech)

    def score(windows: np.ndarray, spoken: np.ndarray) -> np.ndarray:
        flat = spoken.reshape(len(spoken), -1)
        direction = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
        return predict(windows).reshape(len(windows), -1) @ direction.T

    return score


def encoding(values: np.ndarray, speech: np.ndarray) -> Score:
    """Arguments and what comes back as of `ridge`: log-likelihoods up to a constant of the window,
    for errors that are Gaussian and white in time."""
    heard = lagged(speech[:, ::-1])[:, ::-1]  # features before a bin
    weight = _solved(heard, values, PENALTIES[0])
    error = (values - heard @ weight).reshape(-1, values.shape[-1]).astype(np.float64)
    covariance = error.T @ error / len(error)
    covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T

    def score(windows: np.ndarray, spoken: np.ndarray) -> np.ndarray:
        expected = lagged(spoken[:, ::-1])[:, ::-1] @ weight @ whiten
        expected = expected.reshape(len(spoken), -1)
        seen = (windows @ whiten).reshape(len(windows), -1)
        return seen @ expected.T - 0.5 * np.square(expected).sum(1)

    return score


def predictor(values: np.ndarray, speech: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What `ridge` compares with candidates: values [any, T, C] -> features float64 [any, T, F]."""
    seen = lagged(values)
    cut = max(1, round((1 - _VALIDATED) * len(values))) if len(values) > 1 else 1
    best = PENALTIES[-1]
    if cut < len(values):
        errors = []
        for penalty in PENALTIES:
            weight = _solved(seen[:cut], speech[:cut], penalty)
            errors.append(np.square(seen[cut:] @ weight - speech[cut:]).sum())
        best = PENALTIES[int(np.argmin(errors))]
    weight = _solved(seen, speech, best)
    return lambda windows: lagged(windows) @ weight


def lagged(values: np.ndarray) -> np.ndarray:
    """[W, T, C] -> [W, T, lags * C], zeros past a window's end."""
    found = np.zeros((*values.shape[:2], len(LAGS), values.shape[2]), np.float32)
    for place, lag in enumerate(LAGS):
        if lag < values.shape[1]:
            found[:, : values.shape[1] - lag, place] = values[:, lag:]
    return found.reshape(*values.shape[:2], -1)


def _solved(seen: np.ndarray, speech: np.ndarray, penalty: float) -> np.ndarray:
    flat, wanted = seen.reshape(-1, seen.shape[-1]), speech.reshape(-1, speech.shape[-1])
    square = (flat.T @ flat).astype(np.float64)
    added = penalty * max(np.trace(square) / len(square), 1e-12) * np.eye(len(square))
    return np.linalg.solve(square + added, (flat.T @ wanted).astype(np.float64))
