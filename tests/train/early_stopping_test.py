"""Early stopping: a run ends at its best, also one that was interrupted; without patience nothing changes."""

import types

import numpy as np
import pytest

from neurojax.errors import InputError, Interrupted
from neurojax.runs.checkpoint import Checkpointer
from neurojax.runs.manifest import steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train import run, settings, validation
from neurojax.train.early_stopping import MARK, EarlyStopping
from tests.configs_test import CONFIGS, dataset_for, load
from tests.systems_test import leaves_of

SCORES = {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.25, 5: 0.9, 6: 1.0}


def rows(*values):
    return [{"step": step, "validation/r": value} for step, value in enumerate(values, start=1)]


def ending(scored, first, patience=2):
    config = {"patience": patience, "stop_by": "r", "keep_checkpoints": 2, "save_every_steps": 1}
    return EarlyStopping(types.SimpleNamespace(**config, validate_every_steps=1), scored, first)


def test_it_is_over_after_so_many_scores_without_a_better_one():
    assert not ending(rows(0.1, 0.3, 0.2), 3).over
    found = ending(rows(0.1, 0.3, 0.2, 0.3), 4)
    assert found.over and found.best_step == 2 and not found.has_ended
    assert not ending(rows(0.1, 0.3, 0.2, 0.3), 3).over  # what a resumed run will score again does not count
    assert not ending(rows(0.1, 0.3, 0.2, 0.3), 4, patience=0).over
    assert ending([*rows(0.1, 0.3, 0.2, 0.3), {"step": 2, MARK: 2}], 2).has_ended
    assert not ending([*rows(0.1, 0.3, 0.2, 0.3), {"step": 2, MARK: 2}], 1).has_ended


def test_a_score_that_validation_does_not_have_is_refused():
    found = ending([{"step": 1, "time_s": 2.0}], 1)  # a line of training has none, and that is no fault
    with pytest.raises(InputError, match="train.stop_by='r' is no score of the validation; choose from a_b, c$"):
        found.add(2, {"validation/a_b": 0.1, "validation/c": 1.0})
    with pytest.raises(InputError, match="no trial of the validation split; make some, or set train.patience=0"):
        found.add(2, {})
    assert not ending([], 0, patience=0).add(2, {})


def test_the_best_checkpoint_stays_however_many_are_saved_after_it(tmp_path):
    with Checkpointer(tmp_path / "checkpoints", keep=1) as saver:
        for step in range(1, 5):
            saver.save(step, {"weight": np.ones(2)}, {}, spared=2 if step > 1 else None)
    assert steps_on_disk(tmp_path / "checkpoints") == [2, 4]


@pytest.fixture(scope="module")
def twin():
    path = next(path for path in CONFIGS if path.stem == "twin")
    declared = load(path, "")
    declared["train"] |= {"num_steps": 6, "validate_every_steps": 1, "save_every_steps": 1, "patience": 2}
    declared["train"]["keep_checkpoints"] = 1  # the best one stays beside it
    return declared, dataset_for(path, declared)


@pytest.mark.slow
def test_a_run_goes_back_to_its_best_and_an_interrupted_one_too(twin, tmp_path, monkeypatch):
    declared, dataset = twin
    stops = {"at": None}

    def scored(self, state):
        step = int(state.step)
        if step == stops["at"]:
            raise Interrupted("stopped")
        return {"validation/responses_correlation": SCORES[step]}

    monkeypatch.setattr(validation.Validator, "__call__", scored)
    lines = []
    last = run.train(declared, tmp_path / "whole", dataset=dataset, log=lines.append)
    assert int(last.step) == 2 and steps_on_disk(tmp_path / "whole" / "checkpoints")[-1] == 2
    assert "responses_correlation rose last at step 2: the run goes back there and ends" in lines
    scores = [row["step"] for row in read_metrics(tmp_path / "whole") if "validation/responses_correlation" in row]
    assert scores == [1, 2, 3, 4]
    again = run.train(declared, tmp_path / "whole", dataset=dataset, log=lines.append)
    assert int(again.step) == 2 and "already finished: 2 steps" in lines

    stops["at"] = 4
    with pytest.raises(Interrupted):
        run.train(declared, tmp_path / "cut", dataset=dataset, log=lines.append)
    stops["at"] = None
    run.train(declared, tmp_path / "cut", dataset=dataset, log=lines.append)
    whole, cut = leaves_of(tmp_path / "whole"), leaves_of(tmp_path / "cut")
    for name, leaf in whole.items():
        np.testing.assert_array_equal(leaf, cut[name], err_msg=name)


def test_patience_needs_a_score(twin):
    declared, _ = twin
    with pytest.raises(InputError, match="train.patience=2 needs a score; set train.stop_by, or train.patience=0"):
        settings.loop_config(declared | {"train": declared["train"] | {"stop_by": ""}})
