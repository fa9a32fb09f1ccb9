"""The evaluation of gestures refuses people it was trained on and classes it does not know; a floor may be missing."""

import types

import numpy as np
import pytest

from neurojax.data.sources import signals
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import gestures
from tests.configs_test import people

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
