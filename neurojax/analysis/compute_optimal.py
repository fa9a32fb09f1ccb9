"""How to spend a budget of compute: model size against data, from runs of many sizes.

A loss over N parameters and D training examples is taken as E + A / N^alpha + B / D^beta (Hoffmann
et al. 2022, their third approach), and a run as costing k N D operations. Exponents are searched on
a grid, where the other three are non-negative least squares; SciPy's robust least squares on
logarithms of the loss ends it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from neurojax.analysis.scaling import MOST_BEYOND
from neurojax.errors import InputError, require

OPERATIONS = 6.0  # a parameter and an example: forward and backward of a dense layer
_EXPONENTS = np.geomspace(0.03, 2.0, 20)
_LEAST_RUNS, _LEAST_SIZES = 8, 3
_HUBER = 1e-3  # of the logarithm of the loss, as Hoffmann et al.


class Law(NamedTuple):
    """E, A, alpha, B, beta, as above; `most` is the largest budget among the runs, in N D."""

    floor: float
    of_size: float
    size_exponent: float
    of_data: float
    data_exponent: float
    most: float


class Plan(NamedTuple):
    """What a budget is best spent on.

    Attributes:
        parameters, examples: of the run; their product times k is the budget.
        loss: that the law expects, None more than 10 times beyond the largest run.
        words: one sentence.
    """

    parameters: float
    examples: float
    loss: float | None
    words: str


def fit_law(parameters: Sequence[float], examples: Sequence[float], losses: Sequence[float]) -> Law:
    """Fits the law to runs.

    Args:
        parameters, examples, losses: one number over 0 for each run.

    Raises:
        InputError: fewer than eight runs, or fewer than three sizes of either kind: then the two
            terms cannot be told apart.
    """
    columns = [np.asarray(values, np.float64) for values in (parameters, examples, losses)]
    require(
        len({len(one) for one in columns}) == 1
        and len(columns[0]) >= _LEAST_RUNS
        and all(np.isfinite(one).all() and (one > 0).all() for one in columns),
        f"runs have {', '.join(str(len(one)) for one in columns)} sizes, examples and losses; "
        f"expected {_LEAST_RUNS} or more runs with numbers over 0",
    )
    size, data, loss = columns
    distinct = (len(np.unique(size)), len(np.unique(data)))
    require(
        min(distinct) >= _LEAST_SIZES,
        f"{distinct[0]} model sizes and {distinct[1]} amounts of data; expected {_LEAST_SIZES} of "
        "each, or what a law says of them rests on nothing",
    )
    middle = np.exp(np.log(size).mean()), np.exp(np.log(data).mean())
    relative = size / middle[0], data / middle[1]
    start = min(
        (_linear(relative, loss, alpha, beta) for alpha in _EXPONENTS for beta in _EXPONENTS),
        key=lambda one: one[0],
    )[1]

    def off(values: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(_loss(values, relative), 1e-300)) - np.log(loss)

    inside = np.maximum(start, 1e-9)
    found = optimize.least_squares(
        off, inside, bounds=(0, np.inf), loss="huber", f_scale=_HUBER, x_scale=inside
    ).x
    floor, a, alpha, b, beta = (float(one) for one in found)
    require(
        min(a, b, alpha, beta) > 1e-6,
        "the loss does not fall with both sizes and data in these runs; a budget cannot be divided",
    )
    return Law(
        floor,
        a * middle[0] ** alpha,
        alpha,
        b * middle[1] ** beta,
        beta,
        float((size * data).max()),
    )


def plan(law: Law, budget: float, operations: float = OPERATIONS) -> Plan:
    """The sizes of least loss for a budget.

    Args:
        law: of `fit_law`.
        budget: operations of the whole training.
        operations: k, of one parameter and one example.

    Raises:
        InputError: a budget that is no number over 0.
    """
    for name, value in (("budget", budget), ("operations", operations)):
        if not (isinstance(value, int | float) and np.isfinite(value) and value > 0):
            raise InputError(f"{name}={value!r}; expected a number over 0")
    product = budget / operations
    both = law.size_exponent + law.data_exponent
    ratio = (law.size_exponent * law.of_size) / (law.data_exponent * law.of_data)
    size = ratio ** (1 / both) * product ** (law.data_exponent / both)
    data, beyond = product / size, product / law.most
    words = f"{size:.3g} parameters and {data:.3g} examples for {budget:.3g} operations"
    if beyond > MOST_BEYOND:
        words += f", {beyond:.3g} times the largest run: a direction, and no loss is foretold"
        return Plan(float(size), float(data), None, words)
    loss = float(_loss((law[0], law[1], law[2], law[3], law[4]), (size, data)))
    return Plan(float(size), float(data), loss, f"{words}: loss {loss:.4g}")


def _loss(values: Sequence[float], sizes: tuple) -> np.ndarray:
    floor, a, alpha, b, beta = values
    return floor + a * sizes[0] ** -alpha + b * sizes[1] ** -beta


def _linear(relative: tuple, loss: np.ndarray, alpha: float, beta: float) -> tuple:
    """(squares of relative errors, [E, A, alpha, B, beta]) with the exponents given."""
    columns = np.column_stack([np.ones(len(loss)), relative[0] ** -alpha, relative[1] ** -beta])
    (floor, a, b), norm = optimize.nnls(columns / loss[:, None], np.ones(len(loss)))
    return norm, np.array([floor, a, alpha, b, beta])
