"""A learning curve of an accuracy, foretold through its errors.

An accuracy cannot pass 1, so neither may what is said of it: the share of errors is fitted, on a
logarithm (its scatter is in proportion), by forms that stay above a floor whatever the size. A line
over the logarithm of the size is none of them: it leaves what an accuracy can be, sooner or later.
"""

from neurojax.analysis import scaling
from neurojax.analysis.curve_fit import Points
from neurojax.analysis.scaling import Forecast
from neurojax.errors import require

FORMS = ("power", "power_floor", "shoulder")  # of `curve_forms`, those that end above a floor


def forecast(
    curve: Points, at: float, *, chance: float, level: float = scaling.LEVEL, seed: int = 0
) -> Forecast:
    """What an accuracy is expected to be at a size; see `scaling.forecast`.

    Args:
        curve: of `scaling.points`; accuracies below 1.
        at: the size.
        chance: accuracy of who knows nothing, at least 0 and below 1.
        level: of the intervals.
        seed: of the draws.

    Returns:
        the value and the ends of intervals are cut off at 0 and 1, where small sizes, or draws
        widened by misses, pass them.

    Raises:
        InputError: accuracies of 1 or more, whose errors have no logarithm; and as `scaling`.
    """
    require(0 <= chance < 1, f"chance={chance}; expected a share from 0 on, below 1")
    highest = float(curve.scores.max())
    require(
        highest < 1,
        f"an accuracy of {highest:g} in a curve; expected shares below 1, for errors of none have "
        "no logarithm: test on more windows",
    )
    errors = curve._replace(scores=1 - curve.scores)
    about = {"level": level, "scale": "log", "limits": (0.0, 1 - chance), "seed": seed}
    found = scaling.forecast(errors, at, FORMS, **about)
    low, high, run_low, run_high = (
        min(max(1 - end, 0.0), 1.0)
        for end in (found.high, found.low, found.run_high, found.run_low)
    )
    value = None if found.value is None else max(1 - found.value, 0.0)
    said = "no single number so far out" if value is None else f"{value:.4g}"
    return found._replace(
        value=value,
        low=low,
        high=high,
        run_low=run_low,
        run_high=run_high,
        words=f"at {at:g}: {said}, {low:.4g} to {high:.4g} ({100 * level:g} % interval of the "
        "curve), through the errors",
    )
