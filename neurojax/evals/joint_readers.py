"""What stands beside a model of all nodes: ridge regression for each pattern, and what is known
exactly of loops that were made up."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.sources.joint import NODES, JointSource
from neurojax.data.synthetic import loops

PENALTIES = 10.0 ** np.arange(-1, 6)  # in squares of a standard deviation, summed over trials
MOST_TRIALS = 4000  # that ridge is fitted to, evenly spread


class Asked(NamedTuple):
    """A pattern put to trials of one session.

    Attributes:
        given, asked: bool [trials, T, O], entries; O runs over the channels of all nodes.
        values: float32 [trials, T, O], standardised.
    """

    given: np.ndarray
    asked: np.ndarray
    values: np.ndarray


Ask = Callable[[int, np.ndarray], Asked]  # (session, trials) -> of a pattern


def ridge(source: JointSource, number: int, ask: Ask, tested: Asked) -> dict[str, np.ndarray]:
    """Every entry that is asked from all that is given in its trial, penalty by validation trials
    (by a tenth of the train trials where there are none).

    Returns:
        {"ridge", "bin_mean": float64 [trials, T, O]; the second is the mean over train trials of
        each bin, what ridge starts from}.
    """
    session = source.sessions[number]
    train = session.trials_of(TRAIN)
    train = train[np.linspace(0, len(train) - 1, min(len(train), MOST_TRIALS)).astype(int)]
    chosen_by = session.trials_of(VALIDATION)
    if not len(chosen_by):
        last = max(1, len(train) // 10)
        train, chosen_by = train[:-last], train[-last:]
    fitted, chosen = ask(number, train), ask(number, chosen_by)
    inputs = fitted.given.any(0)  # [T, O]
    outputs = fitted.asked.any(0)

    def told(one: Asked, entries: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.where(known, one.values, 0)[:, entries].astype(np.float64)

    x, y = told(fitted, inputs, fitted.given), told(fitted, outputs, fitted.asked)
    mean_x = x.mean(0)
    mean_y = y.sum(0) / np.maximum(fitted.asked[:, outputs].sum(0), 1)
    x, y = x - mean_x, np.where(fitted.asked[:, outputs], y - mean_y, 0)
    left, size, right = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y  # [rank, outputs]

    def predicted(one: Asked, penalty: float) -> np.ndarray:
        weights = right.T @ (along * (size / (np.square(size) + penalty))[:, None])
        return (told(one, inputs, one.given) - mean_x) @ weights + mean_y

    def error(penalty: float) -> float:
        away = predicted(chosen, penalty) - chosen.values[:, outputs]
        return float(np.square(away)[chosen.asked[:, outputs]].sum())

    best = min(PENALTIES, key=error)
    found = {name: np.zeros(tested.values.shape) for name in ("ridge", "bin_mean")}
    found["ridge"][:, outputs] = predicted(tested, best)
    found["bin_mean"][:, outputs] = mean_y
    return found


def is_made_up(session: Session) -> bool:
    """Whether a session is of `data.synthetic.loops`."""
    origin = session.info.get("source")
    return isinstance(origin, dict) and origin.get("generator") == "loops"


def exact(source: JointSource, number: int, tested: Asked) -> np.ndarray:
    """The conditional mean of what is asked, float64 [trials, T, O]: nobody's squared error is
    smaller. All trials are asked the same."""
    session = source.sessions[number]
    spec, origin = loops.LoopSpec(**session.info["loops"]), session.info["source"]
    covariance = loops.covariance(spec, origin["seed"], origin["session"])
    given, asked = tested.given[0], tested.asked[0]
    weights, _ = loops.conditional(covariance, given, asked)
    scales = [source.nodes[number][node].scale for node in NODES]
    centre, spread = (
        np.concatenate([getattr(scale, part) for scale in scales]).astype(np.float64)
        for part in ("centre", "spread")
    )
    raw = tested.values * spread + centre  # means of the loop are zero
    found = np.zeros(tested.values.shape)
    found[:, asked] = raw[:, given] @ weights.T
    return np.where(asked, (found - centre) / spread, 0)
