"""Columns and tables of NWB files as labs write them: lists, tags, enumerations, bytes, several tables of units."""

import numpy as np
import pytest

from neurojax.data.checks.findings import recorded_findings
from neurojax.data.readers import hdf5, nwb
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError
from tests.data.readers.nwb_observed_test import ragged, small_nwb, trains_of

h5py = pytest.importorskip("h5py")

STARTS = 2.0 * np.arange(12)


def read(path, options=(), **fields):
    fields = {"bin_ms": 100, "split": "random"} | fields
    return nwb.read_session(path, ReadSpec(options=tuple(dict(options).items()), **fields))


@pytest.fixture
def path(tmp_path):
    return small_nwb(tmp_path / "day.nwb", trains_of(3, 8, 25), np.stack([STARTS, STARTS + 1.5], 1))


def change(path, make):
    with h5py.File(path, "r+") as file:
        make(file)
    return path


def trials(name, values, **kwargs):
    return lambda file: file["intervals/trials"].create_dataset(name, data=values, **kwargs)


def test_lists_of_a_column_become_text_or_one_number_and_leave_no_other_column(path):
    def make(file):
        table = file["intervals/trials"]
        ragged(table, "tags", [["go", "left"], [], ["nogo"], *[["go"]] * 9], str)
        ragged(table, "reward_time", [[0.5], [], [1.5], *[[2.5]] * 9])
        ragged(table, "licks", [[0.5, 0.6], [], [1.5], *[[2.5]] * 9])
        ragged(table, "broken", [[1.0]] * 12)
        table["broken_index"][...] = 99  # ends beyond its values
        table["contrast"] = np.arange(12) / 4
        table["hand_xy"] = np.zeros((12, 2))

    made = read(change(path, make))
    assert made.conditions["tags"][:4].tolist() == ["go,left", "", "nogo", "go"]
    np.testing.assert_array_equal(made.conditions["reward_time"][:4], [0.5, np.nan, 1.5, 2.5])
    np.testing.assert_array_equal(made.conditions["contrast"], np.arange(12) / 4)
    skipped = {"licks": "ragged", "broken": "ragged", "hand_xy": "several values a row"}
    assert made.info["trial_columns_skipped"] == skipped
    assert made.info["findings"]["columns of the trials that are not one value each"] == 3


CHOICES = h5py.enum_dtype({"left": 0, "right": 7}, basetype="i1")
TEXTS = {
    "bytes": (np.array([b"left", b"right"] * 6), {}),
    "padded bytes": (np.array([b"left\0\0", b"right\0"] * 6, "S9"), {}),
    "variable bytes": ([b"left", b"right"] * 6, {"dtype": h5py.string_dtype("ascii")}),
    "objects of text": (np.array(["left", "right"] * 6, object), {"dtype": h5py.string_dtype()}),
    "an enumeration": (np.array([0, 7] * 6, "i1"), {"dtype": CHOICES}),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_in_any_dress_is_text(path, kind):
    values, kwargs = TEXTS[kind]
    made = read(change(path, trials("choice", values, **kwargs)))
    assert made.conditions["choice"][:3].tolist() == ["left", "right", "left"]


def test_numbers_that_an_enumeration_does_not_name_are_written_out(path):
    made = read(change(path, trials("choice", np.array([0, 3] * 6, "i1"), dtype=CHOICES)))
    assert made.conditions["choice"][:2].tolist() == ["left", "3"]


def test_arrays_of_an_hdf5_file_are_read_alike(path):
    with h5py.File(change(path, trials("choice", np.array([0, 3, 7] * 4, "i1"), dtype=CHOICES))) as file:
        made = hdf5.array(file["intervals/trials"], "choice")
        assert made[:3].tolist() == ["left", "3", "right"]
        assert hdf5.array(file["intervals/trials"], "id").dtype.kind in "iu"


def test_the_schemas_own_enumerations_are_text(path):
    def make(file):
        table = file["intervals/trials"]
        table["choice"] = np.array([0, 1, 1, 0] * 3, np.uint8)
        table.create_dataset("choice_elements", data=["left", "right"], dtype=h5py.string_dtype())
        table["choice"].attrs["neurodata_type"] = "EnumData"
        table["choice"].attrs.create("elements", table["choice_elements"].ref, dtype=h5py.ref_dtype)

    made = read(change(path, make))
    assert made.conditions["choice"][:3].tolist() == ["left", "right", "right"]

    def nowhere(file):
        file["intervals/trials/choice"].attrs.create("elements", h5py.Reference(), dtype=h5py.ref_dtype)

    assert read(change(path, nowhere)).conditions["choice"][:3].tolist() == [0, 1, 1]


def test_true_and_false_stay_so(path):
    made = read(change(path, trials("correct", np.arange(12) % 2 == 0)))
    assert made.conditions["correct"].dtype == bool


def test_units_choose_by_an_enumeration(path):
    def make(file):
        quality = h5py.enum_dtype({"noise": 0, "good": 1}, basetype="i1")
        file["units"].create_dataset("quality", data=np.array([1, 0, 1], "i1"), dtype=quality)

    made = read(change(path, make), {"keep": "quality:good"})
    assert made.unit_id.tolist() == ["0", "2"] and made.info["units_dropped"] == {"quality is not good": 1}


def move_units(file, *places):
    for place in places:
        file.require_group(place.rpartition("/")[0])
        file.copy("units", file, place)
    return file


def test_several_tables_of_units(path):
    def make(file):
        move_units(file, "processing/ecephys/curated", "processing/ecephys/raw_sorting")
        file["processing/ecephys/curated/id"][...] = [7, 8, 9]

    whole = read(path)
    change(path, make)
    made = read(path)
    assert made.unit_id.tolist() == ["0", "1", "2"] and made.info["findings"]["other tables of units, not read"] == 2
    made = read(path, {"units": "processing/ecephys/curated"})
    assert made.unit_id.tolist() == ["7", "8", "9"]
    np.testing.assert_array_equal(made.counts, whole.counts)
    with pytest.raises(
        InputError, match="units='curated' is no table of units; did you mean 'processing/ecephys/curated'"
    ):
        read(path, {"units": "curated"})
    change(path, lambda file: file.pop("units"))
    with pytest.raises(
        InputError, match="no table `units`, but processing/ecephys/.*--options=units=processing/ecephys/"
    ):
        read(path)
    assert read(path, {"units": "processing/ecephys/raw_sorting"}).num_units == 3


def test_the_digest_covers_other_tables_of_units(path):
    change(path, lambda file: move_units(file, "processing/ecephys/curated"))
    before = nwb.source_sha256(path)

    def later(file):
        file["processing/ecephys/curated/spike_times"][0] += 0.01

    assert nwb.source_sha256(change(path, later)) != before


def test_damaged_electrodes_leave_the_regions_out_and_are_told(path):
    def make(file):
        ragged(file["units"], "electrodes", [[0, 1], [9], [2]], int)
        electrodes = file.create_group("general/extracellular_ephys/electrodes")
        electrodes["id"] = np.arange(4)
        electrodes.create_dataset("location", data=["CA1"] * 4, dtype=h5py.string_dtype())

    made = read(change(path, make))
    assert made.region.tolist() == ["unknown"] * 3
    (told,) = [found for found in recorded_findings(made.info) if found.code == "part_left_out"]
    assert told.level == "warning" and "names row 9 of 4 electrodes" in told.sentence
    with pytest.raises(InputError, match="row 9 of 4 electrodes"):
        read(path, strict=True)
