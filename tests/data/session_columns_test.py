"""Columns as labs' tables give them (pandas, polars, lists with gaps): taken as what they say, or refused in words."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurojax.data.store.object_columns import is_missing
from neurojax.data.store.session_fields import plain_array
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

COUNTS = np.random.default_rng(0).poisson(0.4, (20, 10, 4))


def build(**fields):
    return from_counts(fields.pop("counts", COUNTS), bin_size_s=0.02, session_id="a", **fields)


@pytest.mark.parametrize(
    ("came", "taken"),
    [
        (["CA1", None, "LP", np.nan], ["CA1", "unknown", "LP", "unknown"]),
        (np.array(["CA1", "LP", None, "LP"], object), ["CA1", "LP", "unknown", "LP"]),
        (np.array([b"CA1", "LP", "LP", float("nan")], object), ["CA1", "LP", "LP", "unknown"]),
        ([None] * 4, ["unknown"] * 4),
        ([315, 315, 0, 7], ["315", "315", "0", "7"]),
        ([315.0, np.nan, 0.0, 7.0], ["315", "unknown", "0", "7"]),
        (np.ma.masked_array(["CA1"] * 4, [0, 1, 0, 0]), ["CA1", "unknown", "CA1", "CA1"]),
        (np.array([b"CA1"] * 4), ["CA1"] * 4),
    ],
)
def test_missing_regions_are_unknown(came, taken):
    assert build(region=came).region.tolist() == taken


@pytest.mark.parametrize(
    ("came", "taken"),
    [
        (["left", None] * 10, ["left", ""] * 10),
        (["left", np.nan] * 10, ["left", ""] * 10),
        (np.array([1, 2] * 10, object), [1, 2] * 10),
        (np.array([True, False] * 10, object), [True, False] * 10),
        (np.array([True, None] * 10, object), [1.0, None] * 10),
        ([1, None] * 10, [1.0, None] * 10),
        ([None] * 20, [None] * 20),
        (np.ma.masked_array([1, 2] * 10, [0, 1] * 10), [1.0, None] * 10),
    ],
)
def test_missing_values_of_trials(came, taken):
    found = build(conditions={"side": came}).conditions["side"]
    assert [None if is_missing(value) else value for value in found.tolist()] == taken


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conditions": {"when": np.array(["2024-01-01"] * 20, "M8[s]")}}, "when is datetime64.*give seconds"),
        ({"conditions": {"when": [datetime.datetime(2024, 1, 1)] * 20}}, "when holds dates.*seconds"),
        ({"conditions": {"when": [datetime.timedelta(1)] * 20}}, "when holds dates or durations"),
        ({"conditions": {"when": np.array([np.timedelta64(1, "s")] * 20, object)}}, "dates or durations"),
        (
            {"conditions": {"tags": np.array([["a"], ["a", "b"]] * 10, object)}},
            "tags holds lists.*leave the column out",
        ),
        ({"conditions": {"tags": np.array([{"a": 1}] * 20, object)}}, "tags holds lists \\(dict of 1\\)"),
        ({"conditions": {"side": ["a", 1.5] * 10}}, "text and numbers.*astype"),
        ({"conditions": {"side": np.array([object()] * 20, object)}}, "holds object objects"),
        ({"conditions": {"side": [2**70] * 20}}, "beyond 64 bits"),
        ({"conditions": {3: [1] * 20}}, "the name '3' \\(int\\)"),
        ({"conditions": [1] * 20}, "conditions is list, expected name -> values"),
        ({"unit_id": ["a", "b", None, "d"]}, "unit_id lacks 1 of 4 names"),
        ({"unit_id": ["a", "b", np.nan, "d"]}, "unit_id lacks 1"),
        ({"region": {"CA1", "LP"}}, "region is a set"),
        ({"region": "CA1"}, r"region is .*\[\]"),
        ({"unit_metadata": {"depth_um": ["1", "2", "3", "x"]}}, "depth_um is <U1"),
        ({"region": ["CA1\x1b[31m", "a", "b", "c"]}, r"region holds 'CA1\\x1b"),
        ({"region": ["CA1\ud800", "a", "b", "c"]}, "no text"),
        ({"unit_id": ["a\x07", "b", "c", "d"]}, "unit_id holds"),
        ({"conditions": {"side": ["a\x9b", "b"] * 10}}, "side holds"),
        ({"info": {"subject_id": "M\udfff"}}, "half of a surrogate pair"),
    ],
)
def test_what_is_neither_is_refused_in_one_line(fields, message):
    with pytest.raises(InputError, match=message) as raised:
        build(**fields)
    assert "\n" not in str(raised.value)


def test_pandas_columns():
    pd = pytest.importorskip("pandas")
    units = pd.DataFrame(
        {
            "region": ["CA1", None, "LP", "LP"],
            "cat": pd.Categorical(["CA1", "LP", None, "LP"]),
            "string": pd.array(["CA1", pd.NA, "LP", "LP"], dtype="string"),
            "depth": pd.array([1, 2, None, 4], dtype="Int64"),
            "good": pd.array([True, None, False, True], dtype="boolean"),
            "when": pd.to_datetime(["2024-01-01"] * 4),
        }
    )
    assert build(region=units["region"]).region.tolist() == ["CA1", "unknown", "LP", "LP"]
    assert build(region=units["cat"]).region.tolist() == ["CA1", "LP", "unknown", "LP"]
    assert build(region=units["string"]).region.tolist() == ["CA1", "unknown", "LP", "LP"]
    session = build(unit_metadata=units[["depth", "good"]])
    np.testing.assert_array_equal(session.unit_metadata["depth"], [1, 2, np.nan, 4])
    np.testing.assert_array_equal(session.unit_metadata["good"], [1, np.nan, 0, 1])
    for times in (units["when"], units["when"].dt.tz_localize("UTC"), units["when"] - units["when"][0]):
        with pytest.raises(InputError, match="dates or durations"):
            plain_array(times, "when", "here")
    counts = pd.DataFrame(COUNTS.reshape(-1, 4)).astype("Int64")
    np.testing.assert_array_equal(build(counts=counts, trial_offsets=range(0, 201, 10)).counts, COUNTS.reshape(-1, 4))


def test_polars_columns():
    pl = pytest.importorskip("polars")
    units = pl.DataFrame(
        {"region": ["CA1", None, "LP", "LP"], "depth": [1, None, 3, 4], "tags": [["a"], [], ["b"], []]}
    )
    assert build(region=units["region"]).region.tolist() == ["CA1", "unknown", "LP", "LP"]
    assert build(region=units["region"].cast(pl.Categorical)).region.tolist() == ["CA1", "unknown", "LP", "LP"]
    np.testing.assert_array_equal(build(unit_metadata=units[["depth"]]).unit_metadata["depth"], [1, np.nan, 3, 4])
    with pytest.raises(InputError, match="lists"):
        build(region=units["tags"])


@given(st.lists(st.sampled_from([0, 1, 7, None, np.nan, 2.5, np.float32(3), np.int8(4)]), min_size=1))
def test_numbers_with_gaps_keep_their_values_and_gaps(values):
    made = plain_array(np.array(values, object), "x", "here")
    assert made.dtype.kind in "if" and [is_missing(v) for v in values] == np.isnan(made.astype(float)).tolist()
    assert [float(v) for v in values if not is_missing(v)] == made[~np.isnan(made.astype(float))].tolist()


@given(st.lists(st.one_of(st.none(), st.text(st.characters(categories=("L", "N", "P")), min_size=1)), min_size=1))
def test_text_with_gaps_keeps_its_words(values):
    made = plain_array(np.array([*values, "x"], object), "x", "here", missing="?")
    assert made.tolist() == [("?" if value is None else value) for value in values] + ["x"]


def test_a_list_and_its_object_array_are_one_column():
    for values in (["a", None, "b"], [1, None, 2], ["a", 3, "b"], [True, False], [1.5, 2]):
        one, other = plain_array(values, "x", "here"), plain_array(np.array(values, object), "x", "here")
        assert one.dtype.kind == other.dtype.kind
        np.testing.assert_array_equal(one, other)


def test_blanks_within_text_may_stay_on_disk(tmp_path):
    session = build(conditions={"note": ["two\nlines", "a\ttab"] * 10})
    assert open_session(write_session(session, tmp_path)).conditions["note"][0] == "two\nlines"


def test_float32_trial_starts_late_on_a_clock_are_refused():
    starts = 1.7e9 + np.arange(20) * 10.0
    assert build(trial_start_s=starts).trial_start_s.tolist() == starts.tolist()
    with pytest.raises(InputError, match="trial_start_s.*float32, which steps by 128 s"):
        build(trial_start_s=starts.astype(np.float32))
