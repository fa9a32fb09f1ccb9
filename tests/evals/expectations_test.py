"""What a model expects of unread pairs: a probability that stored pairs bear out, and when it means little."""

import numpy as np
import pytest

from neurojax.commands.hypotheses import lines
from neurojax.errors import InputError
from neurojax.evals import expectations


def stored(number, weight, seed=0, scale=0.2):
    """Pairs of which the likelier text is true with log odds of `weight` a nat of difference."""
    rng = np.random.default_rng(seed)
    apart, mean = rng.standard_normal(number) * scale, 3 + 0.1 * rng.standard_normal(number)
    second_is_true = rng.random(number) < 1 / (1 + np.exp(-weight * apart))
    nats = np.stack([mean + apart / 2, mean - apart / 2], 1)
    return [
        {"perplexity": np.exp(both).tolist(), "label": int(label)}
        for both, label in zip(nats, second_is_true, strict=True)
    ]


def pair(first, second):
    return {"perplexity": [float(np.exp(first)), float(np.exp(second))]}


def test_a_probability_is_how_often_pairs_that_sure_were_right():
    known = expectations.calibration(stored(20_000, 6.0), 50, 0)
    assert known.weight == pytest.approx(6.0, rel=0.06) and known.error < 0.015
    found = expectations.expected(pair(3.0, 3.2), known)
    assert found["expects"] == 0 and found["certainty_nats"] == pytest.approx(0.2)
    assert found["probability"] == pytest.approx(1 / (1 + np.exp(-1.2)), abs=0.02)
    low, high = found["probability_ci95"]
    assert low < found["probability"] < high < low + 0.05
    assert not found["beyond"] and not found["unlike"]
    swapped = expectations.expected(pair(3.2, 3.0), known)
    assert swapped["expects"] == 1 and swapped["probability"] == found["probability"]


def test_few_stored_pairs_leave_a_wide_interval():
    few, many = (expectations.calibration(stored(number, 6.0), 200, 0) for number in (40, 4000))
    width = [np.ptp(expectations.expected(pair(3.0, 3.2), known)["probability_ci95"]) for known in (few, many)]
    assert width[0] > 3 * width[1]


def test_what_is_beyond_or_unlike_the_stored_pairs_is_said():
    known = expectations.calibration(stored(200, 6.0), 20, 0)
    assert expectations.expected(pair(3.0, 3.0 + 2 * known.largest), known)["beyond"]
    unlike = expectations.expected(pair(6.0, 6.1), known)
    assert unlike["unlike"] and not unlike["beyond"]
    told = lines([unlike, expectations.expected(pair(3.0, 3.0), known)], known)
    assert "texts unlike the stored ones" in told[0] and told[1] == "pair 2: expects neither"
    assert told[-1] == expectations.CAUTION


def test_certainty_that_says_nothing_is_no_certainty():
    known = expectations.calibration(stored(4000, 0.0), 200, 0)
    low, high = expectations.expected(pair(3.0, 3.2), known)["probability_ci95"]
    assert low < 0.5 < high
    backwards = expectations.calibration(stored(4000, -6.0), 20, 0)
    assert expectations.expected(pair(3.0, 3.2), backwards)["probability"] < 0.4
    assert any("were not right more often" in line for line in lines([], backwards))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (stored(19, 1.0), "19 stored pairs say which text is true"),
        ([{"perplexity": [2.0, 3.0], "label": None}] * 40, "0 stored pairs"),
        ([{"perplexity": [2.0], "label": 1}] * 40, "no two perplexities"),
        ([{"perplexity": [2.0, float("nan")], "label": 1}] * 40, "no two perplexities"),
        ([{"perplexity": [2.0, "3"], "label": 1}] * 40, "no two perplexities"),
    ],
)
def test_stored_pairs_that_say_nothing_are_refused(items, words):
    with pytest.raises(InputError, match=words):
        expectations.calibration(items, 10, 0)
