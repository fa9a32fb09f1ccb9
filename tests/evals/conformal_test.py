"""Conformal sets against worked examples, against crepes where it is installed, and what they promise."""

import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.evals import conformal


def drawn(rng, number, sharpness=2.0, num_classes=4):
    """Probabilities [number, K] of a reader that knows what it does not know, and the truth drawn from them."""
    logits = sharpness * rng.standard_normal((number, num_classes))
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (probability.cumsum(1) > rng.random((number, 1))).argmax(1)
    return probability, truth


def test_the_threshold_of_a_worked_example():
    scores = np.array([0.5, 0.1, 0.4, 0.2, 0.3, 0.9, 0.8, 0.7, 0.6])
    assert conformal.threshold(scores, 0.9) == 0.9  # (9 + 1) 0.9 = 9: the largest
    assert conformal.threshold(scores, 0.7) == 0.7
    assert conformal.threshold(np.append(scores, 2.0), 0.5) == 0.6  # 5.5 is rounded up
    assert conformal.threshold(scores[:8], 0.9) == np.inf  # nine tenths of 9 are more than 8
    assert conformal.threshold(np.arange(29.0), 0.9) == 26.0  # 30 * 0.9 is 27, whatever floats make of it
    found = conformal.sets(np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]), 0.7)
    assert found.tolist() == [[True, True, False], [False, False, True]]
    told = conformal.coverage(found, np.array([1, 0]))
    assert told == {"coverage": 0.5, "covered": 1, "num_cases": 2, "mean_set_size": 1.5, "empty_sets": 0}


def test_sets_cover_as_promised_on_made_up_cases():
    """Three thousand cases to calibrate on and as many to test: 90 % within 2 %; a flat reader's sets are larger."""
    rng = np.random.default_rng(0)
    sizes = []
    for sharpness in (0.5, 3.0):
        probability, truth = drawn(rng, 6000, sharpness)
        score = 1 - probability[np.arange(3000), truth[:3000]]
        told = conformal.coverage(conformal.sets(probability[3000:], conformal.threshold(score)), truth[3000:])
        assert abs(told["coverage"] - 0.9) < 0.02
        sizes.append(told["mean_set_size"])
    assert sizes[0] > sizes[1] + 1


def test_a_block_is_read_by_the_others_alone():
    probability, truth = drawn(np.random.default_rng(1), 400)
    block = np.repeat([0, 1], 200)
    found = conformal.cross_sets(probability, truth, block)
    other = truth.copy()
    other[200:] = (other[200:] + 1) % 4
    again = conformal.cross_sets(probability, other, block)
    np.testing.assert_array_equal(found[200:], again[200:])  # its own truth does not move a block's sets
    assert not np.array_equal(found[:200], again[:200])
    score = 1 - probability[np.arange(200), truth[:200]]
    np.testing.assert_array_equal(found[200:], conformal.sets(probability[200:], conformal.threshold(score)))
    with pytest.raises(InputError, match="all 400 cases are of one block"):
        conformal.cross_sets(probability, truth, np.zeros(400))


def test_one_threshold_for_all_breaks_for_single_people_and_their_own_repairs_it():
    """Three easy people and a hard one, whose reader is surer than it should be."""
    rng, people = np.random.default_rng(2), {}
    for name in ("a", "b", "c", "hard"):
        probability, truth = drawn(rng, 600, 4.0)
        if name == "hard":
            truth = np.where(rng.random(600) < 0.4, rng.integers(0, 4, 600), truth)
        people[name] = (probability, truth, np.repeat(np.arange(3), 200))
    parts = [{name: one[k] for name, one in people.items()} for k in range(3)]
    found = conformal.by_group(*parts)
    assert found["groups"]["hard"]["pooled"]["coverage"] < 0.75 and not found["groups"]["hard"]["pooled"]["inside"]
    assert abs(found["groups"]["hard"]["own"]["coverage"] - 0.9) < 0.03
    assert found["own"]["num_inside"] == 4 > found["pooled"]["num_inside"]
    assert abs(found["own"]["mean_coverage"] - 0.9) < 0.02
    parts[2]["a"] = np.zeros(600)  # one block: nothing to calibrate on
    assert conformal.by_group(*parts)["groups"].keys() == {"b", "c", "hard"}


def test_a_count_inside_what_chance_gives():
    # 99 % of draws of 50 cases covered with probability 0.9 hold 39 to 50.
    assert conformal.is_inside(39, 50, 0.9, 0.99) and not conformal.is_inside(38, 50, 0.9, 0.99)
    assert not conformal.is_inside(200, 200, 0.9, 0.99)


def test_intervals_are_those_of_crepes():
    crepes = pytest.importorskip("crepes")
    residual = np.random.default_rng(4).standard_normal(123)
    theirs = crepes.ConformalRegressor().fit(residual).predict_int(np.zeros(2), confidence=0.9)
    half_width = float(conformal.threshold(np.abs(residual)))
    np.testing.assert_allclose(theirs, [[-half_width, half_width]] * 2)


def test_sets_are_those_of_crepes():
    crepes = pytest.importorskip("crepes")
    probability, truth = drawn(np.random.default_rng(3), 400)
    score = 1 - probability[np.arange(123), truth[:123]]  # 124 * 0.9 is no whole number: no tie at the level
    other = crepes.ConformalClassifier().fit(score)
    theirs = other.predict_set(1 - probability[123:], confidence=0.9, smoothing=False)
    np.testing.assert_array_equal(conformal.sets(probability[123:], conformal.threshold(score)), theirs == 1)
