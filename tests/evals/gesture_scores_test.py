import json
import math

import numpy as np
import pytest
from scipy import stats

from neurojax.errors import InputError
from neurojax.evals.gesture_scores import balanced_accuracy, gestures_block


def sure_of(predicted, num_classes=3):
    """Probabilities whose most likely gesture is `predicted`."""
    return 0.1 + 0.7 * np.eye(num_classes)[np.asarray(predicted)]


LABELS = {"a": np.array([0, 0, 0, 1, 1, 2]), "b": np.array([0, 1, 2]), "c": np.array([1, 1, 2, 2])}
PREDICTED = {"a": [0, 0, 1, 1, 0, 2], "b": [0, 1, 2], "c": [1, 0, 0, 0]}
SCORES = {"a": (2 / 3 + 1 / 2 + 1) / 3, "b": 1.0, "c": (1 / 2 + 0) / 2}


def probabilities(predicted=PREDICTED):
    return {person: sure_of(own) for person, own in predicted.items()}


def block(**fields):
    given = {"probabilities": probabilities(), "labels": LABELS, "num_classes": 3} | fields
    found = gestures_block(**given)
    json.dumps(found, allow_nan=False)
    return found


def test_people_are_scored_by_hand():
    people = block()["people"]
    for person, score in SCORES.items():
        assert math.isclose(people[person]["balanced_accuracy"], score)
    assert people["a"]["accuracy"] == 4 / 6 and people["a"]["num_windows"] == 6
    # A gesture that a person never made is left out, not counted as missed.
    assert people["c"]["num_classes"] == 2


def test_always_saying_one_gesture_is_at_chance_however_often_it_is_made():
    label = np.repeat([0, 1, 2], [90, 5, 5])
    assert math.isclose(balanced_accuracy(np.zeros(100, int), label, 3), block()["chance"])


def test_the_interval_is_over_people():
    found, values = block(), list(SCORES.values())
    np.testing.assert_allclose(found["balanced_accuracy"], np.mean(values))
    se = stats.sem(values)
    np.testing.assert_allclose(found["balanced_accuracy_se"], se)
    low, high = stats.t.interval(0.95, 2, np.mean(values), se)
    np.testing.assert_allclose(found["balanced_accuracy_ci95"], [low, high])
    assert (found["num_people"], found["num_windows"], found["chance"]) == (3, 13, 1 / 3)
    # Ten copies of each window are no more people.
    more = {person: np.repeat(own, 10) for person, own in LABELS.items()}
    again = {person: np.repeat(own, 10, axis=0) for person, own in probabilities().items()}
    repeated = block(labels=more, probabilities=again)
    np.testing.assert_allclose(repeated["balanced_accuracy_ci95"], [low, high])


def test_one_person_has_no_interval_and_says_why():
    found = block(labels={"a": LABELS["a"]}, probabilities={"a": sure_of(PREDICTED["a"])})
    assert math.isclose(found["balanced_accuracy"], SCORES["a"])
    for part in ("se", "ci95"):
        assert found[f"balanced_accuracy_{part}"] is None
        assert "one person" in found[f"balanced_accuracy_{part}_reason"]


def test_floors_are_paired_with_the_model_person_by_person():
    always = {person: [0] * len(own) for person, own in LABELS.items()}
    found = block(floors={"rest": probabilities(always)})["floors"]["rest"]
    others = {"a": 1 / 3, "b": 1 / 3, "c": 0.0}
    assert {p: round(v["balanced_accuracy"], 9) for p, v in found["people"].items()} == {
        p: round(v, 9) for p, v in others.items()
    }
    np.testing.assert_allclose(found["balanced_accuracy"], np.mean(list(others.values())))
    differences = [SCORES[person] - others[person] for person in SCORES]
    np.testing.assert_allclose(found["difference"], np.mean(differences))
    np.testing.assert_allclose(found["difference_se"], stats.sem(differences))
    assert found["difference_ci95"][0] < found["difference"] < found["difference_ci95"][1]


def test_what_is_not_finite_is_null_with_a_reason():
    broken = probabilities()
    broken["b"][1, 2] = np.nan
    found = block(probabilities=broken, floors={"lda": probabilities()})
    assert found["balanced_accuracy"] is None
    assert found["balanced_accuracy_reason"] == "1 of 3 people have no score: b"
    assert "not finite" in found["people"]["b"]["balanced_accuracy_reason"]
    assert found["people"]["a"]["balanced_accuracy"] == pytest.approx(SCORES["a"])
    floor = found["floors"]["lda"]
    assert floor["balanced_accuracy"] == pytest.approx(np.mean(list(SCORES.values())))
    assert floor["difference"] is None and "b" in floor["difference_reason"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {}, "probabilities": {}}, "no person to score"),
        ({"labels": {"a": LABELS["a"]}}, r"not of the same people: \['b', 'c'\]"),
        ({"floors": {"lda": {}}}, "floor lda: predictions and labels are not of the same people"),
        ({"num_classes": 4}, r"predictions \[6, 3\] for 6 windows, expected \[windows, 4\]"),
        ({"labels": LABELS | {"b": np.array([0, 1])}}, "person b"),
        ({"labels": LABELS | {"b": np.array([0, 1, 3])}}, "gestures 0 to 3, expected 0 to 2"),
        ({"labels": LABELS | {"b": np.array([-1, 1, 2])}}, "gestures -1 to 2"),
        ({"labels": {"a": np.array([], int)}, "probabilities": {"a": np.zeros((0, 3))}}, "at least one"),
    ],
)
def test_what_does_not_belong_together_is_one_line(change, message):
    with pytest.raises(InputError, match=message) as raised:
        block(**change)
    assert "\n" not in str(raised.value)
