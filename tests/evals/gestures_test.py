"""The evaluation of gestures refuses people it was trained on and classes it does not know; a floor may be missing."""

import types

import numpy as np
import pytest

from neurojax.commands import config
from neurojax.data.sources import emg, signals
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import gestures
from tests.configs_test import CONFIGS, people

NAMES = ["rest", "fist"]
SETTINGS = {"evaluator": "gestures", "floors": "lda,perceptron"}


def model_of(class_names=NAMES):
    """Always says the first class."""
    return types.SimpleNamespace(
        source_config=signals.Config(trials_per_batch=4, label="gesture", normalise="person"),
        facts={"num_channels": 3, "num_classes": 2} | ({"class_names": class_names} if class_names else {}),
        mean=lambda batch, query: np.tile([0.8, 0.2], (1, 4, 1)),
    )


def evaluated(folder, model=None, sessions=None, **more):
    dataset = dataset_of(sessions or two_people())
    arguments = (model or model_of(), dataset, SETTINGS | more, 0)
    return gestures.evaluate(*arguments, folder=folder, root="", log=lambda line: None)["gestures"]


def two_people():
    """One person to train on, one to test."""
    train, test = people()
    test.split[:] = 2
    return [train, test]


def test_people_it_was_trained_on_are_refused(tmp_path):
    assert evaluated(tmp_path)["num_people"] == 1
    train, test = two_people()
    trained_trials.write(tmp_path, [train])
    assert evaluated(tmp_path)["num_people"] == 1
    train.split[:] = 2  # the same recording in another role
    with pytest.raises(InputError, match="the run was trained on 9 test trials of session p0"):
        evaluated(tmp_path, sessions=[train, test])


def test_classes_are_compared_by_name_and_order(tmp_path):
    with pytest.raises(InputError, match="class 0 of 'gesture' is 'rest' in the data, 'fist' in the run"):
        evaluated(tmp_path, model_of(NAMES[::-1]))
    assert evaluated(tmp_path, model_of(None))["class_names"] == NAMES  # a run that kept no names


def test_the_record_of_a_run_names_the_classes():
    source = signals.open_source(people(), model_of().source_config, 0)
    assert source.facts.to_record() == {"num_channels": 3, "num_classes": 2, "class_names": NAMES}


def test_a_floor_that_cannot_be_fitted_has_a_reason(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    train, test = two_people()
    train.conditions["gesture"][:] = 0
    floors = evaluated(tmp_path, sessions=[train, test])["floors"]
    for name in ("lda", "perceptron"):
        assert floors[name]["balanced_accuracy"] is None
        assert "no training window is of class 1" in floors[name]["balanced_accuracy_reason"]


def test_of_people_a_run_never_saw_everybody_is_tested(tmp_path):
    train, test = two_people()
    trained_trials.write(tmp_path, [train, test])  # a run keeps whom it tested too
    prepared = gestures.prepare(dataset_of([train, test]), SETTINGS, run=tmp_path)
    assert [set(session.split.tolist()) for session in prepared.sessions] == [{0}, {2}]
    others = [test.with_fields(session_id=name, split=np.full_like(test.split, 0)) for name in ("new0", "p1")]
    prepared = gestures.prepare(dataset_of(others), SETTINGS, run=tmp_path)
    assert [set(session.split.tolist()) for session in prepared.sessions] == [{2}, {2}]
    renamed = train.with_fields(session_id="renamed", split=np.full_like(train.split, 1))
    with pytest.raises(InputError, match="no session has a test trial"):  # the recording is known again
        gestures.prepare(dataset_of([renamed]), SETTINGS, run=tmp_path)
    with pytest.raises(InputError, match="no session has a test trial"):  # no run to ask
        gestures.prepare(dataset_of(others[:1]), SETTINGS)


def test_features_are_read_by_recording_by_past_and_as_worn(tmp_path):
    def mean(batch, query):
        first = batch.trials["values"][:, :, 0, :2]
        return np.exp(first) / np.exp(first).sum(-1, keepdims=True)

    number = emg.Features(two_people(), 2.0).columns.shape[1]
    model = types.SimpleNamespace(
        source_config=emg.Config(4, "gesture", "ring", 2.0, -1),
        facts={"num_channels": 3, "num_classes": 2, "class_names": NAMES},
        buffers={"feature_scale": np.stack([np.zeros(number), np.ones(number)])},
        mean=mean,
    )
    block = evaluated(tmp_path, model)
    assert block["order"] == {"p1": "as worn"} and block["as_worn"]["people"] == block["people"]
    assert block["past"]["num_windows"] == block["num_windows"] == 9
    assert block["past"]["people"].keys() == {"p1"} and set(block["floors"]) == {"lda", "perceptron"}
    model.source_config = emg.Config(4, "gesture", "p1=2", 2.0, -1)  # a calibration told it
    assert evaluated(tmp_path, model)["order"] == {"p1": "turned by 2"}


def test_floors_count_steps_in_the_unit_of_the_recordings(tmp_path, monkeypatch):
    asked = []

    def floor(sessions, labels, num_classes, split, min_step, seed=0):
        asked.append(min_step)
        raise InputError("none")

    monkeypatch.setattr(gestures, "FLOORS", {"lda": floor, "perceptron": floor})
    gestures._floors(dataset_of(two_people()), SETTINGS, [], 2, 0, 3e-6)
    evaluated(tmp_path)  # samples, of which a run of before says nothing
    evaluated(tmp_path, min_step=5e-6)
    assert asked == [3e-6, 3e-6, 2.0, 2.0, 5e-6, 5e-6]
    filters = config.load([f"--config={CONFIGS[0].with_name('emg.py')}:filters"])
    assert filters["eval"]["min_step"] == 2.0
    with pytest.raises(InputError, match="eval.min_step=0; expected the least step"):
        gestures.about(SETTINGS | {"min_step": 0})
