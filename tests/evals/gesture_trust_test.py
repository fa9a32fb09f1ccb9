"""When not to trust a reader of gestures: abstention, false activations and confusion, by hand."""

import json

import numpy as np
import pytest
from scipy import stats

from neurojax.data.real_values import from_values
from neurojax.errors import InputError
from neurojax.evals import false_activations, gesture_trust, selective
from neurojax.report import gesture_report
from neurojax.scores import activations

NAMES = ("neutral", "fist", "open")


def windows(said, label, segment, block=None, sure=0.8):
    probability = np.full((len(said), 3), (1 - sure) / 2)
    probability[np.arange(len(said)), said] = sure
    block = np.zeros(len(said), int) if block is None else block
    return gesture_trust.Windows(probability, np.asarray(label), np.asarray(segment), np.asarray(block), 0.05)


def test_the_surest_are_answered_first_and_ties_stand_together():
    confidence, right = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, False, True, False])
    np.testing.assert_allclose(selective.risk_of_most_sure(confidence, right), [0, 0.25, 1 / 3, 0.5])
    np.testing.assert_allclose(selective.risk_of_most_sure(confidence[::-1], right[::-1]), [0, 0.25, 1 / 3, 0.5])
    assert selective.area(confidence, right) == pytest.approx(np.mean([0, 0.25, 1 / 3, 0.5]))
    found = selective.curve(confidence, right, (0.1, 0.5, 0.75, 1.0))
    np.testing.assert_allclose(found["risk"], [0, 0.25, 1 / 3, 0.5])


def test_an_activation_takes_windows_in_a_row_and_ends_with_a_neutral_one():
    said = [0, 1, 0, 1, 1, 2, 2, 2, 0, 2, 1, 2]
    assert false_activations.begun(said, 0, 1) == 3
    assert false_activations.begun(said, 0, 2) == 1  # 1 1, which goes on as 2 2 2; 2 1 2 never holds
    assert false_activations.begun(said, 0, 3) == 1 and false_activations.begun(said, 0, 4) == 0
    assert false_activations.begun([0] * 9, 0, 1) == 0
    with pytest.raises(InputError, match="hold=0; expected 1 or more"):
        false_activations.begun(said, 0, 0)


def test_a_gate_acts_on_the_mean_of_its_windows_and_ends_below_another_threshold():
    gate = activations.Gate(windows=2, begins=0.8, ends=0.4)
    fist = np.array([0.7, 0.9, 0.9, 0.3, 0.2, 0.1, 0.0])
    probability = np.stack([1 - fist, fist, np.zeros(7)], axis=1)
    # means 0.35 0.8 0.9 0.6 0.25 0.15 0.05: begins at 0.8, lasts above 0.4
    assert activations.acted(probability, 0, gate).tolist() == [0, 1, 1, 1, 0, 0, 0]
    other = np.roll(probability, 1, axis=1)[:, [0, 1, 2]]  # the neutral one is the third here
    assert activations.acted(other[:, [1, 2, 0]], 0, gate).tolist() == [0, 1, 1, 1, 0, 0, 0]
    switched = np.array([[0, 1.0, 0]] * 2 + [[0, 0, 1.0]] * 2)
    assert activations.acted(switched, 0, gate).tolist() == [0, 1, 1, 2]  # half of it still says 1
    assert activations.neutral_of(["fist", " Rest"]) == 1 and activations.neutral_of(["fist"]) is None
    with pytest.raises(InputError, match="0 <= ends <= begins <= 1"):
        activations.Acting(3, 0, activations.Gate(2, 0.5, 0.6))


def test_the_rate_has_the_interval_of_a_poisson_count():
    found = false_activations.per_hour(3, 0.5)
    assert found["per_hour"] == 6
    # The ends are the rates of which so few, or so many, are seen once in forty.
    low, high = (end * 0.5 for end in found["per_hour_ci95"])
    assert stats.poisson.sf(2, low) == pytest.approx(0.025) and stats.poisson.cdf(3, high) == pytest.approx(0.025)
    assert false_activations.per_hour(0, 1.0)["per_hour_ci95"] == [0.0, pytest.approx(-np.log(0.025))]
    with pytest.raises(InputError, match="0.0 hours of rest"):
        false_activations.per_hour(0, 0.0)


def test_blocks_of_two_people_by_hand():
    # Of a: a neutral segment with an activation of five windows, a fist read right but for one window, an open hand.
    said = [0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 2, 2]
    label, segment = [0] * 7 + [1] * 3 + [2] * 2, [4] * 7 + [5] * 3 + [6] * 2
    people = {"a": windows(said, label, segment), "b": windows([0, 0, 1], [0, 0, 1], [0, 0, 1])}
    found = gesture_trust.blocks_of(people, NAMES)
    json.dumps(found, allow_nan=False)
    np.testing.assert_allclose(found["confusion"], [[(2 / 7 + 1) / 2, 5 / 14, 0], [1 / 6, 5 / 6, 0], [0, 0, 1]])
    one, five = (found["false_activations"][f"hold_{hold}"] for hold in (1, 5))
    assert (one["number"], five["number"], one["people_with_none"]) == (1, 1, 1)
    assert one["hours"] == pytest.approx(9 * 0.05 / 3600)
    gate, acted = found["false_activations"]["gate"], found["gestures_by_gate"]
    assert (gate, acted["found"], acted["delay_s"]) == (None, 0, None)  # too short for it to act
    assert five["hours"] == pytest.approx(3 * 0.05 / 3600)  # a segment begins with nothing read
    assert any(line.startswith("false activations at rest") for line in trusted(found))
    long = windows([1] * 20 + [2] * 20 + [1] * 20, [1] * 40 + [0] * 20, [0] * 20 + [1] * 20 + [2] * 20, sure=0.95)
    told = gesture_trust.blocks_of({"a": long}, NAMES)
    gate = told["false_activations"]["gate"]
    assert gate["number"] == 1 and gate["hours"] == pytest.approx(12 * 0.05 / 3600)  # from the ninth window on
    acted = told["gestures_by_gate"]  # of two fists one is read as an open hand
    assert (acted["found"], acted["other"], acted["delay_s"]) == (0.5, 0.5, pytest.approx(9 * 0.05))
    assert found["abstention"]["people"]["b"]["area"] == 0 and found["conformal"]["groups"] == {}
    assert found["intervals"] == {"a": None, "b": None}  # a gesture in one segment
    assert gesture_trust.blocks_of(people, ("calm", "fist", "open"))["false_activations"] is None


def test_what_is_said_of_live_use_is_read_from_the_past_alone():
    label, segment = [0] * 20 + [1] * 20, [0] * 20 + [1] * 20
    whole = {"a": windows(label, label, segment, sure=0.95)}
    past = {"a": windows([2] * 20 + [0] * 20, label, segment, sure=0.95)}
    scored, live = gesture_trust.blocks_of(whole, NAMES), gesture_trust.blocks_of(whole, NAMES, past)
    assert scored["confusion"] == live["confusion"] and scored["intervals"] == live["intervals"]
    for found, wrong in ((scored, 0), (live, 1)):
        assert found["abstention"]["area"] == found["false_activations"]["gate"]["number"] == wrong
        assert found["gestures_by_gate"]["found"] == 1 - wrong
    assert any(line.startswith("from here on") for line in trusted(live | {"known_by": "past"}))


def trusted(trust):
    return gesture_report.trust_lines({"people": {"a": {"balanced_accuracy": 0.5}}, "trust": trust})


def test_a_gate_may_act_from_the_window_on_that_fills_it():
    for gate in (activations.USUAL, activations.Gate(3, 0.5, 0.1), activations.Gate(5, 0.8, 0.5)):
        certain = np.tile([0.0, 1.0], (20, 1))
        first = np.flatnonzero(activations.acted(certain, 0, gate))[0]
        assert activations.least_windows(gate) == first + 1


def test_rest_is_known_in_any_case_and_short_rests_are_told_in_seconds():
    people = {"a": windows([0, 1, 1, 0, 1], [0, 0, 0, 0, 1], [4, 4, 4, 4, 5])}
    expected = gesture_trust.blocks_of(people, ("rest", "fist", "open"))
    for name in ("Rest", "NEUTRAL", "Neutral "):
        found = gesture_trust.blocks_of(people, (name, "fist", "open"))
        assert found["false_activations"] == expected["false_activations"] and found["false_activations"] is not None
    block = {"people": {"a": {"balanced_accuracy": 0.5}}, "trust": expected}
    assert any(line.endswith("1 in 0.2 seconds") for line in gesture_report.trust_lines(block))
    expected["false_activations"]["hold_1"]["hours"] = 0.025
    assert any(line.endswith("1 in 1.5 minutes") for line in gesture_report.trust_lines(block))


def test_a_segment_is_one_case_of_conformal_sets_and_of_intervals():
    rng = np.random.default_rng(0)
    segment = np.repeat(np.arange(90), 10)
    label, block = segment % 3, segment // 30
    easy = rng.random(90) < 0.9
    own = windows(np.where(easy[segment], label, (label + 1) % 3), label, segment, block)
    mean, of_segment, blocks = gesture_trust.segments(own)
    assert mean.shape == (90, 3) and blocks.tolist() == np.repeat([0, 1, 2], 30).tolist()
    np.testing.assert_array_equal(of_segment, np.arange(90) % 3)
    assert gesture_trust.blocks_of({"a": own}, NAMES)["conformal"]["groups"]["a"]["own"]["num_cases"] == 90
    low, high = gesture_trust.interval_over_segments(own, 3)
    # 30 segments a gesture, of which nine tenths are right: half of the interval is 2 sqrt(0.9 * 0.1 / 90).
    assert low < easy.mean() < high and 0.08 < high - low < 0.17


def test_windows_are_put_in_order_of_time_with_their_rounds():
    given = {"trial_start_bin": [0, 10, 20], "trial_num_bins": 10, "split": 2}
    given |= {"sampling_hz": 200, "unit": "uV", "session_id": "p", "info": {"step_ms": 50.0}}
    columns = {"gesture": [1, 2, 0], "segment": [0, 1, 2], "round": [1, 1, 1], "repetition": [3, 4, 5]}
    session = from_values(np.zeros((30, 2)), conditions={k: np.array(v) for k, v in columns.items()}, **given)
    probability = np.eye(3)
    own = gesture_trust.windows_of(session, np.array([2, 0, 1]), probability, np.array([0, 1, 2]))
    assert own.segment.tolist() == [0, 1, 2] and own.label.tolist() == [1, 2, 0] and own.step_s == 0.05
    assert own.block.tolist() == [3, 4, 5]  # one round: repetitions
    np.testing.assert_array_equal(own.probability, probability[[1, 2, 0]])
    del session.conditions["segment"]
    assert gesture_trust.windows_of(session, np.arange(3), probability, np.array([0, 1, 2])) is None
