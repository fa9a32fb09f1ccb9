import numpy as np
import pytest

from neurojax import Session
from neurojax.errors import InputError

TIMES, IDS = [1.0, 1.03, 5.01, 9.0], [7, 30, 30, 7]
TRIALS = np.array([[1.0, 1.05], [5.0, 5.06], [8.0, 8.02]])
EXPECTED = [[1, 0], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0]]


def test_spike_times_are_binned_from_each_trial_start():
    session = Session.from_spike_times(TIMES, IDS, trials=TRIALS)
    np.testing.assert_array_equal(session.trial_num_bins, [2, 3, 1])
    np.testing.assert_array_equal(session.counts, EXPECTED)
    assert session.unit_id.tolist() == ["7", "30"] and session.bin_size_s == 0.02  # sorted as numbers
    assert session.info["split_source"] == "random" and set(session.split) == {0, 1, 2}


@pytest.mark.parametrize(
    ("times", "unit_ids"),
    [
        ({7: [1.0, 9.0], 30: [1.03, 5.01]}, None),
        ({"7": [9.0, 1.0], "30": [5.01, 1.03]}, None),
        (TIMES, ["7", "30", "30", "7"]),
        (TIMES, [7.0, 30.0, 30.0, 7.0]),
    ],
)
def test_units_have_names_however_they_come(times, unit_ids):
    session = Session.from_spike_times(times, unit_ids, trials=TRIALS)
    columns = {name: session.counts[:, row].tolist() for row, name in enumerate(session.unit_id)}
    assert columns == {"7": [1, 0, 0, 0, 0, 0], "30": [0, 1, 1, 0, 0, 0]}


def test_named_units_and_regions_keep_silent_ones_and_their_order():
    session = Session.from_spike_times(TIMES, IDS, trials=TRIALS, units=[30, 7, 99], regions=["CA1", "CA3", "DG"])
    assert session.unit_id.tolist() == ["30", "7", "99"] and session.region.tolist() == ["CA1", "CA3", "DG"]
    np.testing.assert_array_equal(session.counts[:, [1, 0]], EXPECTED)
    by_name = Session.from_spike_times(TIMES, IDS, trials=TRIALS, regions={99: "DG", 30: "CA1", 7: "CA3"})
    assert dict(zip(by_name.unit_id, by_name.region, strict=True)) == {"30": "CA1", "7": "CA3", "99": "DG"}
    assert by_name.info["findings"]["units without spikes"] == 1


def test_windows_and_blocks_as_in_the_converter():
    rng = np.random.default_rng(0)
    times, ids = np.sort(rng.uniform(0, 100, 3000)), rng.integers(0, 5, 3000)
    session = Session.from_spike_times(times, ids, bin_ms=50, window_s=2, split="blocks:20s")
    assert session.num_trials == 49 and session.info["split_source"] == "blocks:20s"
    inside = (times >= session.trial_start_s[3]) & (times < session.trial_start_s[3] + 2)
    rows = session.counts[session.trial_start_bin[3] :][:40]
    np.testing.assert_array_equal(rows.sum(0), np.bincount(ids[inside], minlength=5))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unit_ids": None}, "without unit_ids"),
        ({"unit_ids": [1, 2]}, r"4 times and unit_ids \[2\]"),
        ({"unit_ids": [1.5, 2, 3, 4]}, "holds 1.5"),
        ({"times": {1: [0.1]}}, "give one of them"),
        ({"times": {}, "unit_ids": None}, "no units"),
        ({"times": ["a", "b", "c", "d"]}, "times is <U1"),
        ({"times": [1, 2, 3, np.nan]}, "no NaN"),
        ({"trials": None}, "without trials"),
        ({"trials": [1.0, 2.0]}, r"trials has shape \[2\]"),
        ({"trials": [[1.0, np.nan]] * 3}, "trial_stop_s"),
        ({"trials": [[1.0, 1.001]] * 3}, "trials last 0.001"),
        ({"trials": [[1.0, 1e15]] * 3}, "time unit"),
        ({"trials": [[0, 6], [1, 7], [2, 8]]}, "same spikes in train and test"),
        ({"units": [7]}, "1 units of the spikes are not among the 1 named, such as 30"),
        ({"units": [7, 30, "7"]}, "3 units of different names 2"),
        ({"regions": ["CA1"]}, "1 regions for 2 units; .* name all units, silent ones too"),
        ({"regions": ["CA1"], "units": [7, 30]}, "1 regions for 2 units"),
        ({"bin_ms": 20_000}, "bin_size_s is 20.0"),
        ({"bin_ms": "20"}, "bin_size_s is 20"),
        ({"split": [0, 2]}, "split has 2 values, but there are 3 trials"),
        ({"split": "half"}, "split='half'"),
    ],
)
def test_bad_input_is_refused(fields, message):
    good = {"times": TIMES, "unit_ids": IDS, "trials": TRIALS}
    with pytest.raises(InputError, match=message):
        Session.from_spike_times(**(good | fields))


@pytest.mark.parametrize(
    ("times", "unit_ids"),
    [
        (np.ma.masked_array([*TIMES, 5.5, np.nan], mask=[0, 0, 0, 0, 1, 1]), [*IDS, 7, 30]),
        (
            np.ma.masked_array([*TIMES, 5.5, 5.02], mask=[0, 0, 0, 0, 1, 0]),
            np.ma.masked_array([*IDS, 7, 9], mask=[0, 0, 0, 0, 0, 1]),
        ),
        ({7: np.ma.masked_greater([1.0, 9.0, 99, 99], 50), 30: [1.03, 5.01]}, None),
    ],
)  # fmt: skip
def test_masked_spikes_are_left_out_and_counted(times, unit_ids):
    session = Session.from_spike_times(times, unit_ids, trials=TRIALS, info={"spikes_dropped": {"noise": 3}})
    np.testing.assert_array_equal(session.counts, EXPECTED)
    assert session.unit_id.tolist() == ["7", "30"] and session.info["spikes_dropped"] == {"noise": 3, "masked": 2}
    assert "spikes_dropped" not in Session.from_spike_times(np.ma.masked_array(TIMES), IDS, trials=TRIALS).info


@pytest.mark.parametrize("times", [np.ma.masked_all(4), {7: np.ma.masked_all(2)}])
def test_spikes_that_are_masked_throughout_are_refused(times):
    with pytest.raises(InputError, match="masked throughout"):
        Session.from_spike_times(times, None if isinstance(times, dict) else IDS, trials=TRIALS)


def test_pandas_columns_of_other_indexes_are_not_paired_by_place():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"t": TIMES, "u": IDS}, index=[4, 5, 6, 7])
    spans = pd.DataFrame(TRIALS, columns=["start", "stop"])
    answer = pd.Series([0, 1, 2])
    taken = Session.from_spike_times(table.t, table.u, trials=spans, conditions={"answer": answer})
    np.testing.assert_array_equal(taken.counts, EXPECTED)
    shuffled = table.t.iloc[[2, 0, 3, 1]]
    with pytest.raises(InputError, match=r"times and unit_ids are pandas columns of different indexes.*to_numpy"):
        Session.from_spike_times(shuffled, table.u, trials=spans)
    by_place = Session.from_spike_times(table.t.to_numpy(), table.u, trials=spans)
    np.testing.assert_array_equal(by_place.counts, EXPECTED)
    with pytest.raises(InputError, match="trials and answer are pandas columns of different indexes"):
        Session.from_spike_times(TIMES, IDS, trials=spans, conditions={"answer": answer.sort_index(ascending=False)})
    samples = pd.DataFrame({"t": np.arange(0, 9, 0.01), "x": np.arange(900.0)})
    behaviour = {"x": (samples.t, samples.x.sort_index(ascending=False))}
    with pytest.raises(InputError, match="behaviour 'x': times and values are pandas columns"):
        Session.from_spike_times(TIMES, IDS, trials=spans, behaviour=behaviour)
