"""A run is the same run however often it was stopped, resumed, lengthened or fed in another way."""

import dataclasses
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from neurojax.data import pipeline
from neurojax.errors import InputError, Interrupted
from neurojax.runs.manifest import read_manifest, steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.schemes import PROMPTS
from neurojax.train import loop
from neurojax.train.log_window import Diverged
from tests.configs_for_tests import loop_config

STEPS = 6
LOOP = loop_config(log_every_steps=2, save_every_steps=4, validate_every_steps=3, num_threads=0, mesh_data=1)
RECORD = {"config_hash": "c", "dataset_fingerprint": "d"}


@pytest.fixture
def six_steps(recipe):
    return dataclasses.replace(recipe, num_steps=STEPS)


@pytest.fixture
def train(six_steps, source):
    """Trains in a folder; keyword arguments change the recipe or the loop."""

    def run(folder, log=lambda line: None, **changes):
        recipe = dataclasses.replace(six_steps, num_steps=changes.pop("num_steps", STEPS))
        state = loop.train(recipe, source, dataclasses.replace(LOOP, **changes), folder, RECORD, log=log)
        return jax.device_get(state)

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder and final state of an uninterrupted run, filled by the first test that asks."""
    return {"folder": tmp_path_factory.mktemp("finished"), "state": None}


@pytest.fixture
def uninterrupted(finished, train):
    if finished["state"] is None:
        finished["state"] = train(finished["folder"])
    return finished


def signal_before_batch(monkeypatch, index):
    """SIGTERM arrives while batch `index` is read."""
    real = pipeline.stream

    def stream(make, first, stop, **options):
        def and_signal(i):
            if i == index:
                os.kill(os.getpid(), signal.SIGTERM)
            return make(i)

        return real(and_signal, first, stop, **options)

    monkeypatch.setattr(pipeline, "stream", stream)


def learned(folder):
    """The lines of metrics.jsonl without the clock's."""
    timed = ("time_s", "trials_per_s", "mfu")
    return [{name: value for name, value in row.items() if name not in timed} for row in read_metrics(folder)]


def test_a_run_leaves_checkpoints_and_metrics(uninterrupted):
    folder = uninterrupted["folder"]
    assert steps_on_disk(folder / "checkpoints") == [4, 6]
    manifest = read_manifest(folder / "checkpoints" / "6")
    assert manifest["step"] == 6 and manifest["config_hash"] == "c"
    rows = read_metrics(folder)
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 6]
    assert [row["step"] for row in rows if "validation/neuron_bps_pooled" in row] == [3, 6]
    for row in rows:
        trained = {"trials_per_s", "time_s", "train/gradient_norm", "train/learning_rate"}
        names = ("bps_pooled", "bps_unit_mean")
        validated = {f"validation/{scheme}_{name}" for scheme in PROMPTS for name in names}
        assert trained <= set(row) or validated | {"step", "time_s"} == set(row)
        assert all(isinstance(value, int | float) and np.isfinite(value) for value in row.values())
    entries = [row["train/nats_per_entry"] for row in rows if "train/loss" in row]
    np.testing.assert_allclose(entries, [row["train/loss"] for row in rows if "train/loss" in row], rtol=0.02)


def test_three_steps_a_signal_and_three_more_are_six_steps_bit_for_bit(
    uninterrupted, train, tmp_path, monkeypatch, equal_trees
):
    with monkeypatch.context() as patch:
        signal_before_batch(patch, 2)
        with pytest.raises(Interrupted, match="after step 3 of 6; state saved"):
            train(tmp_path)
    assert steps_on_disk(tmp_path / "checkpoints") == [3]
    assert [row["step"] for row in read_metrics(tmp_path)] == [2, 3, 3]  # what was learned until then is told
    log = []
    state = train(tmp_path, log=log.append)
    assert log == ["resuming from step 3 of 6"]
    equal_trees(state, uninterrupted["state"])
    last, expected = learned(tmp_path)[-1], learned(uninterrupted["folder"])[-1]
    assert last == expected and last["step"] == 6


def test_a_run_killed_after_its_last_metrics_writes_them_once(uninterrupted, train, tmp_path, equal_trees):
    """The newest checkpoint is gone: lines past the one before it are written again, not twice."""
    folder = shutil.copytree(uninterrupted["folder"], tmp_path / "run")
    shutil.rmtree(folder / "checkpoints" / "6")
    equal_trees(train(folder), uninterrupted["state"])
    assert learned(folder) == learned(uninterrupted["folder"])


@pytest.mark.slow  # the fast part does it with several steps at once
def test_counts_held_on_the_device_train_the_same_to_rounding(uninterrupted, train, tmp_path):
    """The batches are the same bits (placement_test); the program is another one, and sums in another order."""
    state = jax.device_get(train(tmp_path, placement="device"))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state, jax.device_get(uninterrupted["state"])
    )


@pytest.mark.slow
def test_several_steps_at_once_are_the_same_steps(uninterrupted, train, tmp_path, monkeypatch, equal_trees):
    """Runs of two, one, one and two steps, stopped after the first and resumed, have the bits of an unstopped run."""
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = train(tmp_path / "whole", placement="device", steps_per_dispatch=3)
    with monkeypatch.context() as patch:
        signal_before_batch(patch, 0)
        with pytest.raises(Interrupted, match="after step 2 of 6; state saved"):
            train(tmp_path / "stopped", placement="device", steps_per_dispatch=3)
    equal_trees(train(tmp_path / "stopped", placement="device", steps_per_dispatch=3), whole)
    told, expected = learned(tmp_path / "stopped"), learned(uninterrupted["folder"])
    assert [row["step"] for row in told] == [row["step"] for row in expected]
    for row, other in zip(told, expected, strict=True):  # sums that change nothing may be added in another order
        assert row == pytest.approx(other, rel=1e-5)


def test_a_reader_thread_changes_nothing(uninterrupted, train, tmp_path, equal_trees):
    state = train(tmp_path, num_threads=1, validate_every_steps=0, save_every_steps=0, log_every_steps=100)
    equal_trees(state, uninterrupted["state"])
    assert steps_on_disk(tmp_path / "checkpoints") == [6]
    assert [row["step"] for row in read_metrics(tmp_path)] == [6]


def test_a_finished_run_returns_at_once(uninterrupted, train, monkeypatch, equal_trees):
    folder, log = uninterrupted["folder"], []
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(pipeline, "stream", None)
    equal_trees(train(folder, log=log.append), uninterrupted["state"])
    assert log[-1] == "already finished: 6 steps"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_more_steps_extend_a_finished_run(uninterrupted, train, tmp_path, equal_trees):
    folder, log = shutil.copytree(uninterrupted["folder"], tmp_path / "run"), []
    state = train(folder, log=log.append, num_steps=24)  # the program of faults_test
    assert log == ["resuming from step 6 of 24"] and state.step == 24
    assert steps_on_disk(folder / "checkpoints") == [20, 24]
    rows = learned(folder)
    assert rows[: len(learned(uninterrupted["folder"]))] == learned(uninterrupted["folder"])
    assert [row["step"] for row in rows[-2:]] == [24, 24]


def test_a_run_that_is_never_finite_stops_and_saves_nothing(train, tmp_path, monkeypatch):
    real = loop.fresh_run

    def broken(*args):
        state = real(*args)
        return state._replace(params=state.params | {"prompts": np.nan * state.params["prompts"]})

    monkeypatch.setattr(loop, "fresh_run", broken)
    with pytest.raises(Diverged, match="3 steps in a row, up to batch 2; lower optimizer.learning_rate"):
        train(tmp_path, max_skipped_in_a_row=3, validate_every_steps=0)
    assert steps_on_disk(tmp_path / "checkpoints") == []


@pytest.mark.parametrize(
    "values, message",
    [
        ({"placement": "gpu"}, "data.placement='gpu'; choose 'host' or 'device'"),
        ({"log_every_steps": 0}, "train.log_every_steps=0; expected at least 1"),
        ({"save_every_steps": -1}, "train.save_every_steps=-1"),
        ({"max_skipped_in_a_row": 0}, "train.max_skipped_in_a_row=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        loop_config(**values)
