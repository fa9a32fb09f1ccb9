"""Scores of frames: what nobody knows is no mistake; a person without an event, or without others, is scored too."""

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import frames as source
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import ring_moves
from neurojax.evals import frames

SPEC = ring_moves.MovesSpec(num_people=4, num_trials=5, trial_s=2.0)
SETTINGS = {"evaluator": "frames", "threshold": 0.5, "apart_s": 0.05, "tolerance_s": 0.1}


class Model:
    """Answers with the targets of the batch, or with one number."""

    def __init__(self, target, answer=None):
        self.source_config = source.Config(trials_per_batch=4, target=target, hop_bins=4, normalise="person")
        self.answer = answer

    def mean(self, batch, query):
        right = np.nan_to_num(batch.trials[self.source_config.target])
        return right if self.answer is None else np.full_like(right, self.answer)


def people():
    """Two to train on, two to test."""
    made = ring_moves.sessions(SPEC, 0)
    return [one.with_fields(split=np.full(5, TRAIN if n < 2 else TEST)) for n, one in enumerate(made)]


def without_events(session):
    still = np.zeros_like(session.behaviour["pulses"])
    return session.with_fields(behaviour={**session.behaviour, "pulses": still})


def evaluated(folder, sessions, target="pulses", answer=None):
    given = Model(target, answer), dataset_of(sessions), SETTINGS, 0
    record = frames.evaluate(*given, folder=folder, root="", log=lambda line: None)
    return record["frames"]


def test_what_is_said_where_no_target_is_known_is_neither_right_nor_invented():
    pulses, probability = np.zeros((2, 40, 1)), np.zeros((2, 40, 1))
    pulses[0, 10], probability[0, 10] = 1, 0.9
    pulses[0, 20:30] = pulses[1, 5:] = -1  # unknown, and padding
    probability[0, 24:27] = probability[1, 20:] = 0.9
    found = frames._pulse_scores(probability, pulses, 0.02, SETTINGS)
    assert found["event_error"] == 0 and found["num_events"] == 1
    probability[1, 2] = 0.9  # a second one, where it is known that there was none
    assert frames._pulse_scores(probability, pulses, 0.02, SETTINGS)["event_error"] == 1


def test_a_person_without_an_event_has_nats_and_a_reason_and_is_told_of_before_training(tmp_path):
    *others, last = people()
    told = []
    frames.prepare(dataset_of([*others, without_events(last)]), SETTINGS, log=told.append)
    assert told == [
        "session person-3: no event begins in its test windows; of pulses it will have nats and no event error"
    ]
    block = evaluated(tmp_path, [*others, without_events(last)])
    one, still = block["sessions"].values()
    assert one["event_error"] == 0 and still["event_error"] is None and still["num_events"] == 0
    assert still["event_error_reason"] == "no event begins in its test windows" and still["nats"] < 1e-5
    assert block["event_error"] == 0 and block["event_error_num_sessions"] == 1
    assert "event_error_ci95" not in block and "nats_ci95" in block and "nats_num_sessions" not in block
    lines = []
    frames.show({"frames": block}, lines.append)
    assert "person-3: no event error: no event begins" in lines[0]
    # Of nobody an event error: all else is still said.
    alone = evaluated(tmp_path, [*others[:2], without_events(others[2]), without_events(last)], answer=0.2)
    assert alone["event_error"] is None and alone["event_error_reason"] and alone["nats"] > 0.2


def test_the_floor_is_what_training_says_and_people_alone_have_none(tmp_path):
    sessions = people()
    block = evaluated(tmp_path, sessions)
    frame = np.concatenate([one.behaviour["pulses"].reshape(5, 400, 3)[:, 3::4] for one in sessions[:2]])
    share = frame.mean((0, 1))
    tested = sessions[3].behaviour["pulses"].reshape(5, 400, 3)[:, 3::4]
    expected = -(tested * np.log(share) + (1 - tested) * np.log(1 - share)).mean()
    assert block["sessions"]["person-3"]["floor_nats"] == pytest.approx(expected, rel=1e-5)
    alone = evaluated(tmp_path, sessions[2:])
    assert alone["floor_nats"] is None and "train window" in alone["floor_nats_reason"]
    assert alone["nats"] == block["nats"] and alone["event_error"] == 0
    for target in ("pulses", "velocity"):  # the page and the table tell it too
        record = {"frames": evaluated(tmp_path, sessions[2:], target), "eval": SETTINGS}
        (tmp_path / "config.json").write_text("{}")
        frames.draw(tmp_path, record | {"schema": 1, "step": 1, "seed": 0}, None, [], log=lambda line: None)
        assert "no session of these data has a train window" in (tmp_path / "report.html").read_text()


def test_velocities_nobody_knows_are_left_out_with_a_reason(tmp_path):
    *others, last = people()
    valid = {**last.behaviour_valid, "velocity": np.zeros(len(last.values), bool)}
    block = evaluated(tmp_path, [*others, last.with_fields(behaviour_valid=valid)], "velocity", answer=1.0)
    known, unknown = block["sessions"].values()
    middle = np.median([one.behaviour["velocity"].reshape(5, 400)[:, 3::4] for one in others[:2]])
    tested = others[2].behaviour["velocity"].reshape(5, 400)[:, 3::4]
    assert known["floor_mean_absolute_error"] == pytest.approx(np.abs(tested - middle).mean(), rel=1e-5)
    assert block["mean_absolute_error"] == known["mean_absolute_error"] == pytest.approx(np.abs(1 - tested).mean())
    assert unknown["mean_absolute_error"] is None and unknown["floor_mean_absolute_error_reason"]
