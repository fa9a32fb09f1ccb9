"""Weights are used with the config they were trained with, on whatever devices are there."""

import shutil

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.data.store.dataset import open_dataset
from neurojax.files import read_json, write_json
from neurojax.train import run as train_run
from neurojax.train import run_folder
from tests.finetune.conftest import fine_tune, pretrain


@pytest.fixture
def run(area, tmp_path):
    return shutil.copytree(area / "run", tmp_path / "run")


def edit(run, block, name, value):
    config = read_json(run / "config.json")
    config[block][name] = value
    write_json(run / "config.json", config)


def predictor(area, run):
    return run_folder.load_predictor(run, run_folder.read_run(run), open_dataset(area / "known"))[0]


@pytest.mark.parametrize("name, value", [("num_heads", 4), ("width", 16)])
def test_a_config_that_was_edited_is_refused(area, run, tmp_path, name, value, capsys):
    edit(run, "model", name, value)
    for use in (lambda: nj.load(run), lambda: predictor(area, run)):
        with pytest.raises(nj.InputError, match="config.json has config_hash .* step 20 was trained with"):
            use()
    for command in (["export", f"--workdir={run}", f"--out={tmp_path / 'out'}"], ["evaluate", f"--workdir={run}"]):
        assert main.main(command) == 2
    assert main.main(fine_tune(area, tmp_path / "tuned", f"init_from={run}")) == 2
    assert capsys.readouterr().err.count("undo the edit") == 3


def test_a_run_that_was_moved_and_made_longer_on_other_devices_is_used(area, run, monkeypatch):
    monkeypatch.setattr(train_run, "evaluate_run", lambda *run, log: None)
    session = open_dataset(area / "known").sessions[0]
    other = ("train.num_steps=22", "sharding.data=2", "data.num_threads=2", "eval.num_boot=10")
    assert main.main([*pretrain(area, *other), f"--workdir={run}"]) == 0
    assert nj.load(run).weights.step == 22
    states = nj.load(run).embed(session)
    edit(run, "data", "root", "gone")
    assert np.array_equal(nj.load(run).embed(session), states, equal_nan=True)
    predictor(area, run)


def test_a_run_of_many_devices_is_used_on_one(area, run, monkeypatch):
    edit(run, "sharding", "data", 4)
    edit(run, "sharding", "model", 2)
    devices = jax.devices()
    monkeypatch.setattr(jax, "devices", lambda *backend: devices[:1])
    found = predictor(area, run)
    assert all(leaf.devices() == {devices[0]} for leaf in jax.tree.leaves((found.params, found.tables)))
