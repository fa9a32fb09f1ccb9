"""Anything at all through the Python door: taken, or refused in one line that can be read."""

import datetime
import io
import types

import numpy as np
import pytest

import neurojax as nj
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError

RNG = np.random.default_rng(0)
TIMES, IDS = np.sort(RNG.uniform(0, 40, 900)), RNG.integers(0, 3, 900)
TRIALS = np.stack([np.arange(0, 40, 2.0), np.arange(0, 40, 2.0) + 1.5], axis=1)
COUNTS = {"counts": RNG.poisson(0.5, (20, 10, 3)), "bin_size_s": 0.02, "session_id": "a"}
SPIKES = {"times": TIMES, "unit_ids": IDS, "bin_ms": 20.0, "trials": TRIALS, "session_id": "a"}
VALUES = {
    "values": RNG.normal(size=(200, 3)), "sampling_hz": 100.0, "unit": "uV", "session_id": "a",
    "trial_start_bin": np.arange(0, 200, 10), "trial_num_bins": 10, "split": np.zeros(20, int),
}  # fmt: skip
BUILDERS = {
    "from_counts": (COUNTS, "trial_offsets trial_start_s region region_group region_source unit_id split split_seed "
                    "conditions behaviour behaviour_valid unit_metadata true_rates info observed max_gap_s"),
    "from_spike_times": (SPIKES, "regions window_s units split observed invalid silence time_unit behaviour max_gap_s "
                         "conditions unit_metadata info region_group split_seed"),
    "from_values": (VALUES, "trial_start_s channel region conditions info"),
}  # fmt: skip
ODD = [
    None, 3, -1, 2**70, 1.5, float("nan"), float("inf"), "", "x", "a\x00b", "a\x1b[31m", "\ud800", b"bytes", True, (),
    [], {}, set(), {1, 2}, object(), len, range(3), [None], [[]], [[1], [2, 3]], {"a": 1}, {1: 2}, {("p", 1): [1.0]},
    {None: [1.0]}, {"a": None}, {"a": "b"}, {"a": {}}, np.array(3), np.zeros(0), np.zeros((0, 0)),
    np.zeros((2, 2, 2, 2)), np.array(["a", "b"]), np.array([1, "a", None], object), np.zeros(3, [("a", "i4")]),
    np.array([1 + 2j]), np.array(["2024"], "M8[s]"), np.ma.masked, np.ma.masked_all(3), datetime.datetime(2024, 1, 1),
    types, int, Exception("x"), np.full((20, 10, 3), np.nan), "a" * 5000, io.BytesIO(b""),
    types.SimpleNamespace(index=3), memoryview(b"abc"), ...,
]  # fmt: skip


def one_line(do):
    """What came out; InputError only as a line of a bounded length."""
    try:
        return do()
    except InputError as error:
        assert "\n" not in str(error) and 10 < len(str(error)) <= 2100
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("builder", "field"),
    [(name, field) for name, (good, more) in BUILDERS.items() for field in [*good, *more.split()]],
)
def test_any_value_of_any_field_is_taken_or_refused_in_a_line(builder, field):
    build, good = getattr(nj.Session, builder), BUILDERS[builder][0]
    for odd in ODD:
        for value in (odd, {"x": odd}, {"x": (TIMES, odd)}, {"x": (odd, TIMES)}):
            made = one_line(lambda value=value: build(**{**good, field: value}))
            assert made is None or isinstance(made, nj.Session)


@pytest.mark.parametrize(
    "call",
    [
        lambda odd, out: nj.open_session(odd),
        lambda odd, out: nj.open_session(out, verify=odd),
        lambda odd, out: nj.open_dataset(odd),
        lambda odd, out: nj.convert_session(odd, out=out),
        lambda odd, out: nj.convert_session("x.npz", out=odd),
        lambda odd, out: nj.convert_session("x.npz", odd, out=out),
        lambda odd, out: nj.convert_session("x.npz", out=out, kind=odd),
        lambda odd, out: nj.write_session(odd, out),
        lambda odd, out: nj.load(odd),
        lambda odd, out: dataset_of(odd),
        lambda odd, out: dataset_of([odd]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_path_and_no_session_is_refused_in_a_line(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for odd in ODD:
        assert one_line(lambda odd=odd: call(odd, tmp_path / "out")) is None


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (("probe0", 7), r"a unit is named \('probe0', 7\) \(tuple\).*f\"\{probe\}/\{cluster\}\""),
        (None, "a unit is named None"),
        (1.5, "a unit is named 1.5"),
        (True, "a unit is named True"),
        (b"a", "a unit is named b'a'"),
    ],
)
def test_what_names_no_unit_is_told_with_a_way_on(label, told):
    with pytest.raises(InputError, match=told):
        nj.Session.from_spike_times({label: TIMES}, trials=TRIALS)


@pytest.mark.parametrize(
    "field",
    (
        "counts bin_size_s unit_id region trial_start_bin trial_num_bins trial_start_s split conditions behaviour "
        "behaviour_valid unit_metadata true_rates info values sampling_hz unit_of_values validity spikes session_id"
    ).split(),
)
@pytest.mark.filterwarnings("ignore")
def test_a_session_with_a_field_of_another_kind_is_never_written_wrong(field, tmp_path):
    session = nj.Session.from_counts(**COUNTS)
    for odd in ODD:
        folder = one_line(lambda odd=odd: nj.write_session(session.with_fields(**{field: odd}), tmp_path))
        if folder is not None:  # then it can be read
            assert nj.open_session(folder, verify="full").num_units == 3
