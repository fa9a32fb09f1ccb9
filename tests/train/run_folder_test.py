"""Trained weights are loaded only for recordings that they can read."""

import pytest

from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.runs import restore, workdir
from neurojax.train import run_folder
from tests.configs_test import CONFIGS, load, people


def test_a_signal_of_other_channels_is_refused(tmp_path, monkeypatch):
    (emg,) = (path for path in CONFIGS if path.stem == "emg")
    manifest = {"bin_size_s": 0.01, "num_bins": 20, "sessions": [], "facts": {"num_channels": 8, "num_classes": 2}}
    monkeypatch.setattr(restore, "load_arrays", lambda folder, log: ({}, manifest))
    monkeypatch.setattr(workdir, "require_own_config", lambda *run: None)
    with pytest.raises(InputError, match="session p0 has 3 channels, the weights were trained on 8"):
        run_folder.load_predictor(tmp_path, load(emg, ""), dataset_of(people()))
