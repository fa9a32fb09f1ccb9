"""A linear floor for speech from EEG: ridge regression from the samples after a bin to its speech
features."""

from collections.abc import Callable

import numpy as np

LAGS = tuple(range(7))  # bins by which a signal may follow the speech: 0 to 240 ms at 25 Hz
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the mean square of a predictor
_VALIDATED = 0.1  # of the windows, the last ones


def ridge(values: np.ndarray, speech: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fits one person; the penalty is chosen on the last tenth of the windows, then all are used.

    Args:
        values: float [W, T, C], standardised.
        speech: float [W, T, F].

    Returns:
        values [any, T, C] -> features float64 [any, T, F].
    """
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
