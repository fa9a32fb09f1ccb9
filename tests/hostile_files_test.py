"""Some bad recordings of experiments/hostile_files: each ends in a sentence or a count, and hurts nothing."""

import importlib
import io
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from neurojax.data.observed import ObservedIntervals
from neurojax.data.real_values import from_values
from neurojax.data.session import SpikeTimes
from neurojax.data.store.array_files import read_npz, write_npy, write_npz
from neurojax.data.store.checksums import array_record, combined_sha256, sampled_sha256
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.files import write_json

pytest.importorskip("h5py")
FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "hostile_files"
PER_FORMAT = 3
FOUND = {  # what the bench found once, always tried again
    "mat v7.3": (
        "class: function handle", "class: table, by path", "class: no text", "class: no ASCII",
        "class: cell, but doubles, by path", "cell of null references",
    ),
    "HDF5": ("domain: train over test", "series: starts at nothing", "--options=as_test=train", "--trial_columns=x"),
    "ALF": ("wheel times NaN", "wheel times falling"),
    "phy tables": ("table: 2**70", "table: half a cluster", "table: a quote without end"),
    "SpikeInterface": ("units nested",),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    """(all cases, judge) of the experiment, which is no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("run").all_cases(), importlib.import_module("harness").judge
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("run", "harness", *importlib.import_module("run").MODULES):
            sys.modules.pop(name, None)


def test_there_are_many_bad_inputs_of_every_format(bench):
    formats = {}
    for case in bench[0]:
        formats.setdefault(case.format, set()).add(case.name)
    assert sum(map(len, formats.values())) >= 200 and min(map(len, formats.values())) >= 10


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_sample_ends_in_a_sentence_or_a_count(bench, tmp_path):
    cases, judge = bench
    quick = [case for case in cases if "MB of" not in case.name and "3,000" not in case.name]
    formats = dict.fromkeys(case.format for case in quick)
    sample = [c for f in formats for c in random.Random(f).sample([c for c in quick if c.format == f], PER_FORMAT)]
    found = [case for case in cases if case.name in FOUND.get(case.format, ())]
    assert len(found) == sum(map(len, FOUND.values()))
    sample += [case for case in found if case not in sample]
    failed = {}
    for number, case in enumerate(sample):
        outcome, message = judge(case, tmp_path / str(number))
        if outcome == "FAILED":
            failed[f"{case.format}, {case.name}"] = message
    assert failed == {}


def test_the_bench_notices_what_was_taken_without_a_word(bench, tmp_path):
    case = next(case for case in bench[0] if case.name == "units: one silent among six" and case.format == "npz")
    assert case.harmless and bench[1](case, tmp_path / "a")[0] == "counted"
    sound = next(case for case in bench[0] if case.name == "file name 'a b.npz'")
    strict = type(sound)(sound.format, sound.name, sound.kind, sound.make)
    assert bench[1](strict, tmp_path / "b")[0] in ("FAILED", "refused")


# Session folders: every file that schema 2 added, damaged as any file can be and forged.


def _real():
    values = np.random.default_rng(0).integers(-90, 90, (120, 4))
    window = {"trial_start_bin": np.arange(0, 100, 10), "trial_num_bins": 20}
    return from_values(values, sampling_hz=200, unit="uV", session_id="p", split=0, **window)


def _spiking():
    counts = np.random.default_rng(0).poisson(0.4, (6, 5, 3))
    session = from_counts(counts, bin_size_s=0.02, session_id="p", split=[0, 0, 0, 0, 1, 2])
    index = np.arange(3, dtype=np.int32)
    return session.with_fields(
        spikes=SpikeTimes(np.array([0.1, 0.2, 0.5]), index),
        validity=ObservedIntervals(index, np.zeros(3, np.int64), np.full(3, 30)),
    )


def _written(file, tmp_path):
    folder = write_session(_real() if file == "values.npy" else _spiking(), tmp_path)
    return folder / file


def _opened_in_one_line(folder):
    """The message of what refuses to open a folder, by any of the three ways to verify."""
    for verify in ("none", "sampled", "full"):
        with pytest.raises(InputError) as raised:
            open_session(folder, verify)
        assert "\n" not in str(raised.value) and str(folder) in str(raised.value)
    return str(raised.value)


def _pickled():
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()


FILES = ("values.npy", "spikes.npz", "validity.npz")
DAMAGES = {
    **{f"cut at {share:.0%}": share for share in (0.0, 0.03, 0.25, 0.5, 0.9, 0.995)},
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000)),
    "a web page": lambda path: path.write_text("<html><body>404 Not Found</body></html>"),
    "not there": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "pickled": lambda path: path.write_bytes(_pickled()),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_session_is_one_line(file, damage, tmp_path):
    path, make = _written(file, tmp_path), DAMAGES[damage]
    content = path.read_bytes()
    path.unlink()
    if callable(make):
        make(path)
    else:
        path.write_bytes(content[: int(len(content) * make)])
    _opened_in_one_line(path.parent)


def _forge(folder, name, array):
    """Replaces an array of a session and makes every checksum agree with it."""
    group, _, column = name.rpartition("/")
    if group:
        arrays = read_npz(folder / f"{group}.npz") | {column: array}
        write_npz(folder / f"{group}.npz", arrays)
    else:
        write_npy(folder / f"{name}.npy", array)
    meta = json.loads((folder / "meta.json").read_text())
    meta["arrays"][name] = array_record(array)
    if not group:
        meta["sampled_sha256"][name] = sampled_sha256(array)
    digest = combined_sha256("p", meta["bin_size_s"], meta["arrays"], meta.get("unit"))
    write_json(folder / "meta.json", meta | {"content_sha256": digest})


INT32 = np.arange(3, dtype=np.int32)
FORGED = {
    "values float64": ("values", np.zeros((120, 4)), "holds float64"),
    "values whole numbers": ("values", np.zeros((120, 4), np.int16), "holds int16"),
    "values one axis": ("values", np.zeros(480, np.float16), "expected float32 or float16 with 2 axes"),
    "values empty": ("values", np.zeros((0, 4), np.float16), "is empty"),
    "values short": ("values", np.ones((60, 4), np.float16), "leaves the 60 bins"),
    "values of five channels": ("values", np.ones((120, 5), np.float16), "one label a unit"),
    "times NaN": ("spikes/time_s", np.array([0.1, np.nan, 0.5]), "NaN or infinity"),
    "times falling": ("spikes/time_s", np.array([0.5, 0.2, 0.1]), "not sorted"),
    "times text": ("spikes/time_s", np.array(["a", "b", "c"]), "<U1"),
    "times of two axes": ("spikes/time_s", np.zeros((3, 1)), r"[3, 1]"),
    "times missing": ("spikes/time_s", np.zeros(0), "equally long"),
    "unit 2**31 - 1": ("spikes/unit_index", np.array([0, 1, 2**31 - 1], np.int32), "of the 3 units"),
    "another column": ("spikes/extra", INT32, "'extra'"),
    "stop NaN": ("validity/stop_bin", np.array([1, np.nan, 2]), "float64"),
    "stop 2**63 - 1": ("validity/stop_bin", np.array([1, 2**63 - 1, 2]), "leaves the 30 bins"),
    "start negative": ("validity/start_bin", np.array([-(2**63), 0, 0]), "leaves the 30 bins"),
    "units falling": ("validity/unit_index", INT32[::-1].copy(), "out of order"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_array_of_a_session_is_named(case, tmp_path):
    name, array, message = FORGED[case]
    folder = write_session(_real() if name == "values" else _spiking(), tmp_path)
    _forge(folder, name, array)
    assert message in _opened_in_one_line(folder)


def test_forged_values_that_are_no_numbers_are_named_when_verified(tmp_path):
    folder = write_session(_real(), tmp_path)
    _forge(folder, "values", np.full((120, 4), np.nan, np.float16))
    for verify in ("sampled", "full"):
        with pytest.raises(InputError, match="holds NaN or infinity"):
            open_session(folder, verify)


@pytest.mark.parametrize("shape", ["1099511627776, 4", "-120, -4", "4, 120, 4"])
def test_a_header_that_promises_more_than_is_there_takes_no_memory(shape, tmp_path):
    path = _written("values.npy", tmp_path)
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (%s), }" % shape.encode()
    header = header.ljust(117) + b"\n"
    size = len(header).to_bytes(2, "little")
    path.write_bytes(b"\x93NUMPY\x01\x00" + size + header + path.read_bytes()[128:])
    assert "bytes, but" in _opened_in_one_line(path.parent)


@pytest.mark.parametrize("observation", ["counts", "real", "both", None, 3, []])
def test_a_folder_that_calls_its_recording_something_else_is_refused(observation, tmp_path):
    # No unit is hashed of counts, so that nothing but the word itself can be what is wrong.
    folder = write_session(_real() if observation == "counts" else _spiking(), tmp_path)
    meta = json.loads((folder / "meta.json").read_text()) | {"observation": observation}
    write_json(folder / "meta.json", meta)
    _opened_in_one_line(folder)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -200.0, 0.0, "200", None, [200.0], 200])
def test_a_rate_that_is_none_never_reaches_the_index(rate, tmp_path):
    folder = write_session(_real(), tmp_path)
    meta = json.loads((folder / "meta.json").read_text()) | {"sampling_hz": rate}
    (folder / "meta.json").write_text(json.dumps(meta))
    assert "sampling_hz is" in _opened_in_one_line(folder)
    with pytest.raises(InputError, match="sampling_hz is"):
        write_dataset_index(tmp_path)
