import shutil

import numpy as np
import pytest

from neurojax.data.store import dataset
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


def write(root, name):
    counts = np.random.default_rng(len(name)).poisson(0.5, (6, 5, 3))
    write_session(from_counts(counts, bin_size_s=0.02, session_id=name), root)


def test_an_index_written_beside_another_shard_lists_its_sessions(tmp_path, monkeypatch):
    """The other shard publishes its last session and its index between our look and our writing."""
    write(tmp_path, "a")
    real, calls = dataset.write_json, []

    def slow(path, content):
        calls.append(1)
        if len(calls) == 1:
            write(tmp_path, "bb")
            monkeypatch.setattr(dataset, "write_json", real)
            write_dataset_index(tmp_path)
            monkeypatch.setattr(dataset, "write_json", slow)
        real(path, content)

    monkeypatch.setattr(dataset, "write_json", slow)
    fingerprint = write_dataset_index(tmp_path)
    opened = open_dataset(tmp_path, verify="full")
    assert [session.session_id for session in opened.sessions] == ["a", "bb"] and opened.fingerprint == fingerprint


def test_a_folder_that_is_gone_is_named_with_the_way_back(tmp_path):
    for name in ("a", "bb", "ccc"):
        write(tmp_path, name)
    write_dataset_index(tmp_path)
    shutil.rmtree(tmp_path / "a"), shutil.rmtree(tmp_path / "ccc")
    with pytest.raises(InputError, match="json lists a, ccc, but .*; put it back, or run neurojax convert again$"):
        open_dataset(tmp_path)
