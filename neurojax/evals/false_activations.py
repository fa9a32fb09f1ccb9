"""False activations: how often an hour a decoder acts while its user does nothing.

An activation begins when `hold` windows in a row say the same gesture that is not the neutral one;
the next can begin after a window that says neutral. The interval of the rate is that of a Poisson
process (Garwood 1936, Biometrika 28:437-442): it knows nothing of differences between people.
"""

from typing import Any

import numpy as np
from scipy import stats

from neurojax.errors import require


def begun(said: np.ndarray, neutral: int, hold: int) -> int:
    """Activations in one stretch of windows.

    Args:
        said: int [windows] in order of time, the gesture each is read as.
        neutral: the gesture that does nothing.
        hold: windows in a row that an activation takes, 1 or more.
    """
    require(hold >= 1, f"hold={hold}; expected 1 or more windows in a row")
    number, row, last, is_on = 0, 0, neutral, False
    for one in np.asarray(said).tolist():
        if one == neutral:
            row, is_on = 0, False
        else:
            row = row + 1 if one == last else 1
            if row >= hold and not is_on:
                number, is_on = number + 1, True
        last = one
    return number


def per_hour(number: int, hours: float, level: float = 0.95) -> dict[str, Any]:
    """{"number", "hours", "per_hour", "per_hour_ci95"} (exact Poisson interval of the level).

    Raises:
        InputError: no time was watched.
    """
    require(hours > 0, f"{hours} hours of rest were watched; expected more than none")
    tail = (1 - level) / 2
    low = float(stats.chi2.ppf(tail, 2 * number) / 2) if number else 0.0
    high = float(stats.chi2.ppf(1 - tail, 2 * (number + 1)) / 2)
    found = {"number": number, "hours": hours, "per_hour": number / hours}
    return found | {f"per_hour_ci{100 * level:g}": [low / hours, high / hours]}
