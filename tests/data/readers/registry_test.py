"""Every kind of recording offers what the engine asks of it, and goes through the command line's `convert`."""

import inspect

import numpy as np
import pytest

from neurojax.commands.convert import convert
from neurojax.data.readers.registry import MODULES, Reader, check_options, reader_of
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", MODULES)
def test_readers_keep_the_contract(kind):
    reader = reader_of(kind)
    name, _, number = reader.VERSION.partition("/")
    assert name and number.isdigit()
    assert all(isinstance(text, str) and text for pair in reader.OPTIONS.items() for text in pair)
    for function in ("find", "session_name", "read_session", "source_sha256"):
        expected = list(inspect.signature(getattr(Reader, function)).parameters)[1:]
        assert list(inspect.signature(getattr(reader, function)).parameters) == expected
    with pytest.raises(InputError, match="no_such_option"):
        check_options(kind, ReadSpec(options=(("no_such_option", "1"),)))


@pytest.mark.parametrize("kind", sorted(MODULES))
def test_paths_that_are_not_there(kind, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        convert(kind, [tmp_path / "nowhere"], tmp_path / "out")
    assert not (tmp_path / "out" / "nowhere").exists()


def make_phy(folder):
    folder.mkdir()
    np.save(folder / "spike_times.npy", np.sort(RNG.integers(0, 30000 * 60, 3000)))
    np.save(folder / "spike_clusters.npy", RNG.integers(0, 4, 3000))
    (folder / "params.py").write_text("sample_rate = 30000.\n")


def make_alf(folder):
    probe = folder / "alf/probe00"
    probe.mkdir(parents=True)
    np.save(probe / "spikes.times.npy", np.sort(RNG.uniform(0, 60, 3000)))
    np.save(probe / "spikes.clusters.npy", RNG.integers(0, 4, 3000))


def make_h5(path):
    with pytest.importorskip("h5py").File(f"{path}.h5", "w") as file:
        file["spikes/timestamps"], file["spikes/unit_index"] = np.sort(RNG.uniform(0, 60, 3000)), np.arange(3000) % 4
        file["units/id"] = np.array([b"a", b"b", b"c", b"d"])
        file["domain/start"], file["domain/end"] = [0.0], [60.0]


@pytest.mark.parametrize("kind, make", [("phy", make_phy), ("ibl", make_alf), ("brainwide", make_h5)])
def test_a_folder_of_recordings_becomes_a_dataset(tmp_path, capsys, kind, make):
    (tmp_path / "in").mkdir()
    for name in ("day1", "day2"):
        make(tmp_path / "in" / name)
    cut = {"window_s": 2.0, "split": "blocks:4s"}
    convert(kind, [tmp_path / "in"], tmp_path / "out", **cut)
    dataset = open_dataset(tmp_path / "out")
    assert [session.session_id for session in dataset.sessions] == ["day1", "day2"]
    assert dataset.sessions[0].info["source"]["kind"] == kind
    convert(kind, [tmp_path / "in"], tmp_path / "out", **cut)
    assert capsys.readouterr().out.count("unchanged, left alone") == 2
    with pytest.raises(InputError, match="other options"):
        convert(kind, [tmp_path / "in"], tmp_path / "out", window_s=1.0, split="blocks:4s")
