"""Damaged NWB files end in a sentence or a counted skip: never in a traceback, never in half a folder.

`NEUROJAX_FUZZ_EXAMPLES=2000 pytest -q tests/data/readers/nwb_damage_test.py` looks further.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.commands.convert import convert
from neurojax.data.readers import nwb
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import InputError
from tests.data.readers.nwb_observed_test import ragged as ragged_column
from tests.data.readers.nwb_traces_test import write_imaging

pytest.importorskip("pynwb")
h5py = pytest.importorskip("h5py")

EXAMPLES = int(os.environ.get("NEUROJAX_FUZZ_EXAMPLES", 40))
fuzzed = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
TRIALS, ELECTRODES = "intervals/trials", "general/extracellular_ephys/electrodes"
SERIES = "processing/behavior"
SPECS = [
    ReadSpec(behavior=("hand", "speed", "pupil"), strict=True),
    ReadSpec(behavior=("hand", "speed", "pupil"), window_s=1.5, split="random"),
    ReadSpec(align="go_time", window=(-0.2, 0.5), split="random"),
    ReadSpec(window_s=2.0, split="blocks:10s"),
    ReadSpec(window_s=1.0, split="random", options=(("table", "epochs"), ("keep", "quality:good"))),
    ReadSpec(options=(("min_observed", "0.5"), ("hidden", "keep"), ("regions", "location"))),
]


def outcome(path, spec):
    """A session that keeps the rules, or one line."""
    try:
        return validate_session(nwb.read_session(str(path), spec))
    except InputError as error:
        assert "\n" not in str(error) and 20 < len(str(error)) < 1500
        return str(error)


def put(parent, name, make):
    """Replaces an entry; `make(parent, name)` writes the new one."""
    if name in parent:
        del parent[name]
    make(parent, name)


def data(values, **kwargs):
    return lambda parent, name: parent.create_dataset(name, data=values, **kwargs)


def ragged(parent, name):
    parent.create_dataset(name, (30,), h5py.vlen_dtype(float))[:] = [np.arange(3.0) for _ in range(30)]


def claim(shape, dtype, **kwargs):
    return lambda parent, name: parent.create_dataset(name, shape, dtype, **kwargs)


def link(target):
    return lambda parent, name: parent.__setitem__(name, target)


def references(parent, name):
    parent.create_dataset(name, data=[parent.ref, h5py.Reference()] * 15, dtype=h5py.ref_dtype)


def outside(parent, name):
    parent.create_dataset(name, (30,), np.float64, external=[("/etc/passwd", 0, 240)])


def virtual(parent, name):
    layout = h5py.VirtualLayout((30,), np.float64)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (30,))
    parent.create_virtual_dataset(name, layout)


CONTENTS = {
    "nothing": lambda parent, name: None,
    "a group": lambda parent, name: parent.create_group(name),
    "a number": data(7.5),
    "a word": data("word"),
    "no values": data(np.empty(0)),
    "no data space": data(h5py.Empty("f8")),
    "negative": data(-np.arange(30)),
    "as unsigned": data(np.full(30, 2**64 - 1, np.uint64)),
    "not finite": data(np.array([np.nan, np.inf, -np.inf] * 10)),
    "enormous": data(np.full(30, 1e300)),
    "seven": data(np.arange(7.0)),
    "one too many": data(np.arange(31)),
    "true and false": data(np.arange(30) % 2 == 0),
    "complex": data(np.arange(30) * 1j),
    "text": data(np.array(["ä", "", "x" * 5000] * 10, h5py.string_dtype())),
    "bytes": data(np.array([b"\xff\xfe", b"", b"y"] * 10)),
    "a matrix": data(np.zeros((30, 2))),
    "a cube": data(np.zeros((7, 2, 2))),
    "records": data(np.zeros(30, [("a", "i4"), ("b", "f8")])),
    "opaque": data(np.zeros(30, "V8")),
    "long floats": data(np.zeros(30, np.longdouble)),
    "half floats": data(np.zeros(30, np.float16)),
    "ragged": ragged,
    "enumerated": data(np.arange(30) % 2, dtype=h5py.enum_dtype({"a": 0, "b": 1})),
    "references": references,
    "a bomb": claim((2**50,), np.float64, chunks=(2**20,)),
    "a wide bomb": claim((30, 2**40), np.int8, chunks=(1, 2**20)),
    "a huge piece": claim((2**28,), np.float64, chunks=(2**28,), compression="gzip"),
    "a type": lambda parent, name: parent.__setitem__(name, np.dtype("f8")),
    "itself": lambda parent, name: parent.__setitem__(name, parent),
    "a link to nothing": link(h5py.SoftLink("/nowhere/at/all")),
    "a circle": lambda parent, name: parent.__setitem__(name, h5py.SoftLink(f"{parent.name}/{name}")),
    "another file": link(h5py.ExternalLink("/etc/passwd", "/units")),
    "data outside": outside,
    "virtual data": virtual,
}
PLACES = [
    *(f"units/{name}" for name in ("spike_times", "spike_times_index", "obs_intervals", "obs_intervals_index", "id")),
    *(f"units/{name}" for name in ("electrodes", "electrodes_index", "quality", "heldout", "snr", "region")),
    *(f"{TRIALS}/{name}" for name in ("start_time", "stop_time", "go_time", "split", "choice", "id", "licks_index")),
    *(f"{ELECTRODES}/{name}" for name in ("location", "id", "group_name")),
    *(f"{SERIES}/Position/hand/{name}" for name in ("data", "starting_time", "timestamps")),
    *(f"{SERIES}/BehavioralTimeSeries/speed/{name}" for name in ("data", "timestamps")),
    *("units", "intervals", TRIALS, "general", ELECTRODES, "general/subject", "processing", SERIES, "acquisition"),
    *("session_start_time", "identifier", "intervals/epochs", "general/subject/species", "nwb_version"),
]
NAMES = st.sampled_from(sorted(CONTENTS))


@pytest.mark.parametrize("content", CONTENTS)
def test_every_content_in_the_places_that_matter_most(changed_nwb, content):
    for place in (f"{TRIALS}/go_time", "units/spike_times", "units/spike_times_index", f"{TRIALS}/choice"):
        parent, _, name = place.rpartition("/")
        path = changed_nwb(lambda file, p=parent, n=name: put(file[p], n, CONTENTS[content]))
        for spec in SPECS[:3]:
            outcome(path, spec)


@fuzzed
@given(st.lists(st.tuples(st.sampled_from(PLACES), NAMES), min_size=1, max_size=3), st.sampled_from(SPECS))
def test_any_content_in_any_place(changed_nwb, changes, spec):
    def change(file):
        for place, content in changes:
            parent, _, name = place.rpartition("/")
            if isinstance(file.get(parent or "/", getclass=True), type) and isinstance(file[parent or "/"], h5py.Group):
                put(file[parent or "/"], name, CONTENTS[content])

    outcome(changed_nwb(change), spec)


BAD = "intervals/invalid_times"
OBSERVED_PLACES = [
    *(f"{BAD}/{name}" for name in ("start_time", "stop_time", "tags", "tags_index", "probe", "electrode_group", "id")),
    *(f"units/{name}" for name in ("electrode_group", "obs_intervals", "obs_intervals_index", "electrodes_index")),
    *(BAD, "general/extracellular_ephys/shank0", "general/extracellular_ephys/shank0/device"),
]


@fuzzed
@given(st.lists(st.tuples(st.sampled_from(OBSERVED_PLACES), NAMES), min_size=1, max_size=3), st.booleans())
def test_any_content_in_what_tells_of_observed_time(changed_nwb, changes, says_observed):
    def change(file):
        table = file.create_group(BAD)
        table["start_time"], table["stop_time"], table["id"] = [5.0, 20.0], [6.0, np.nan], [0, 1]
        ragged_column(table, "tags", [["shank0", "artefact"], []], str)
        if not says_observed:
            del file["units/obs_intervals"], file["units/obs_intervals_index"]
        for place, content in changes:
            parent, _, name = place.rpartition("/")
            if isinstance(file.get(parent), h5py.Group):
                put(file[parent], name, CONTENTS[content])

    path = changed_nwb(change)
    for spec in (SPECS[3], ReadSpec(options=(("hidden", "drop"), ("invalid", "keep")))):
        outcome(path, spec)


TRACES = "processing/ophys/DfOverF/plane0"
CELLS = "processing/ophys/ImageSegmentation/cells_plane0"
TRACE_PLACES = [
    *(f"{TRACES}/{name}" for name in ("data", "timestamps", "starting_time", "rois")),
    *(f"{CELLS}/{name}" for name in ("iscell", "accepted", "id", "imaging_plane", "pixel_mask_index")),
    *(TRACES, CELLS, TRIALS, f"{TRIALS}/start_time", "general/optophysiology"),
]


@pytest.fixture(scope="module")
def imaging(tmp_path_factory):
    path = write_imaging(tmp_path_factory.mktemp("imaging") / "m.nwb")
    return path.read_bytes(), path.with_name("changed.nwb")


@fuzzed
@given(st.lists(st.tuples(st.sampled_from(TRACE_PLACES), NAMES), min_size=1, max_size=3), st.booleans())
def test_any_content_in_what_tells_of_traces(imaging, changes, is_cut):
    content, path = imaging
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        for place, content in changes:
            parent, _, name = place.rpartition("/")
            if isinstance(file.get(parent or "/"), h5py.Group):
                put(file[parent or "/"], name, CONTENTS[content])
    cut = {"window_s": 2.0, "split": "blocks:10s"} if is_cut else {}
    outcome(path, ReadSpec(options=(("traces", "DfOverF/plane0"),), behavior=("running",), **cut))
    outcome(path, ReadSpec())


ATTRIBUTES = st.sampled_from([None, "", "x", b"\xff", 0.0, -1.0, np.nan, 2**63, [1, 2], [[1.0]], h5py.Empty("f8")])


@fuzzed
@given(
    st.sampled_from([f"{SERIES}/Position/hand/{n}" for n in ("", "data", "starting_time")] + ["/", "units", TRIALS]),
    st.sampled_from(["conversion", "offset", "rate", "unit", "neurodata_type", "nwb_version", "colnames"]),
    ATTRIBUTES,
)
def test_any_attribute(changed_nwb, place, name, value):
    def change(file):
        if value is None:
            file[place].attrs.pop(name, None)
        else:
            file[place].attrs[name] = value

    outcome(changed_nwb(change), SPECS[0])


def test_any_length(nwb_path, tmp_path):
    content = nwb_path.read_bytes()
    path = tmp_path / "m.nwb"
    for length in np.linspace(0, len(content) - 1, 25, dtype=int):
        path.write_bytes(content[:length])
        assert isinstance(outcome(path, SPECS[0]), str)


def test_a_heap_that_would_never_end(nwb_path, tmp_path):
    """Free space of no size, id 0: the HDF5 library would look at it for ever."""
    content = bytearray(nwb_path.read_bytes())
    heap = content.index(b"GCOL\x01\0\0\0")
    size = int.from_bytes(content[heap + 24 : heap + 32], "little")  # of its first object
    second = heap + 16 + 16 + -(-size // 8) * 8
    content[second : second + 16] = bytes(16)
    path = tmp_path / "m.nwb"
    path.write_bytes(content)
    for read in (nwb.source_sha256, lambda path: nwb.read_session(path, SPECS[0])):
        with pytest.raises(InputError, match=f"byte {heap} is damaged.*h5repack"):
            read(str(path))


def read_changed_bytes(nwb_path, path, seeds):
    """In a process of its own: the HDF5 library may crash on bytes, which a test cannot catch."""
    content = nwb_path.read_bytes()
    for seed in seeds:
        rng, changed = np.random.default_rng(seed), bytearray(content)
        for place in rng.integers(0, len(content) - 8, rng.choice([1, 5, 50, 300])):
            changed[place : place + 8] = rng.choice([rng.bytes(1), rng.bytes(8), b"\xff" * 8, bytes(8)])
        path.write_bytes(changed)
        outcome(path, SPECS[0])
        with contextlib.suppress(InputError):
            nwb.source_sha256(str(path))


@pytest.mark.slow
def test_any_bytes(nwb_path, tmp_path):
    child = multiprocessing.get_context("fork").Process(
        target=read_changed_bytes, args=(nwb_path, tmp_path / "m.nwb", range(EXAMPLES * 5))
    )
    with warnings.catch_warnings():  # jax warns of forks; the child does not use it
        warnings.simplefilter("ignore")
        child.start()
    child.join()
    assert child.exitcode == 0


MESSAGES = {
    "rising ends": ("units/spike_times_index", data(np.array([5, 3, 9, 9, 9, 9, 9]))),
    "one whole number a row": ("units/spike_times_index", data(np.arange(6))),
    "within them": ("units/spike_times_index", data(np.full(7, 2**40))),
    "no spike_times with an index": ("units/spike_times", CONTENTS["nothing"]),
    "no spikes": ("units/spike_times_index", data(np.zeros(7, int))),
    "no spike time is finite": ("units/spike_times", data(np.full(3000, np.nan))),
    "expected seconds": ("units/spike_times", data(np.zeros((3000, 2)))),
    "expected numbers or text": ("units/spike_times", data(np.zeros(3000, [("a", "i4")]))),
    "holds none": ("units/spike_times", claim((2**50,), np.float64, chunks=(2**20,))),
    "pieces above": ("units/spike_times", claim((2**28,), np.float64, chunks=(2**28,))),
    "lies in another file": ("units/spike_times", CONTENTS["another file"]),
    "lead in a circle": ("units/spike_times", CONTENTS["a circle"]),
    "no data of its own": ("units/spike_times", outside),
    r"row 9 of 6 electrodes": ("units/electrodes", data(np.full(12, 9))),
    r"expected \[intervals, 2\]": ("units/obs_intervals", data(np.zeros(14))),
    "true or false": ("units/heldout", data(np.zeros(6, bool))),
    "has no start_time in seconds": (f"{TRIALS}/start_time", data(np.array(["early"] * 30, h5py.string_dtype()))),
    "no trial is left of 30": (f"{TRIALS}/stop_time", data(np.zeros(30))),
    "but timestamps": (f"{SERIES}/BehavioralTimeSeries/speed/timestamps", data(np.zeros(7))),
    "neither timestamps nor a starting_time": (f"{SERIES}/Position/hand/starting_time", data(np.nan)),
    "65535": ("units/spike_times", data(np.full(70_000, 1.5))),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_the_sentence_names_what_is_wrong(changed_nwb, message):
    place, make = MESSAGES[message]
    parent, _, name = place.rpartition("/")

    def change(file):
        attributes = dict(file[place].attrs)
        put(file[parent], name, make)
        if message in ("65535", "no spike time is finite"):
            put(file["units"], "spike_times_index", data(np.full(7, len(file["units/spike_times"]))))
        if message == "neither timestamps nor a starting_time":
            file[place].attrs.update(attributes)

    with pytest.raises(InputError, match=message):
        nwb.read_session(changed_nwb(change), dataclasses.replace(SPECS[0], time_unit="s"))


def test_a_damaged_file_leaves_the_good_session_as_it_was(nwb_path, changed_nwb, tmp_path):
    out = tmp_path / "out"
    convert("nwb", [changed_nwb(lambda file: None)], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    path = changed_nwb(lambda file: put(file["units"], "spike_times_index", data(np.full(7, 2**40))))
    for overwrite in (False, True):
        with pytest.raises(InputError):
            convert("nwb", [path], out, overwrite=overwrite)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert len(open_dataset(out).sessions) == 1
