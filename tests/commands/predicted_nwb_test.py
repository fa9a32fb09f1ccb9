"""`predict --format=nwb`: pynwb reads what is written, its validator has nothing to say, and the rates are the same."""

import dataclasses
import datetime

import numpy as np
import pytest

from neurojax.commands.predicted_nwb import predictions_as_nwb, trial_clock
from neurojax.data.session import TEST
from neurojax.data.store.sessions import from_counts

pynwb = pytest.importorskip("pynwb")
RNG = np.random.default_rng(0)
LENGTHS = np.array([4, 6, 5, 6, 3])


def make_session(**fields):
    return from_counts(
        RNG.integers(0, 3, (LENGTHS.sum(), 3)),
        bin_size_s=0.02,
        session_id="day1",
        trial_offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
        unit_id=np.array(["a", "b", "ü"]),
        region=np.array(["CA1", "CA1", "LP"]),
        split=np.array([0, 2, 1, 2, 2]),
        **{
            "trial_start_s": np.array([1.0, 9.0, 5.0, 7.0, 11.0]),
            "conditions": {"choice": np.array(["l", "r", "l", "r", "l"]), "name": np.arange(5), "ok": LENGTHS > 4},
            "info": {
                "subject_id": "M1",
                "species": "Mus musculus",
                "date": "2021-05-06T07:08:00+02:00",
                "subject": {"sex": "F", "lab": "x"},
            },
            **fields,
        },
    )


def predicted(session):
    trials = session.trials_of(TEST)
    shape = len(trials), int(session.trial_num_bins[trials].max()), session.num_units
    expected = RNG.uniform(0, 2, shape).astype(np.float32)
    forward = np.where(np.arange(shape[1])[:, None] < 2, np.float32(np.nan), expected)
    return {"co_smoothing": expected, "forward": forward}


def written(session, predictions, tmp_path):
    path = tmp_path / "day1.nwb"
    path.write_bytes(predictions_as_nwb(session, predictions, session.trials_of(TEST), "c0ffee"))
    assert not pynwb.validate(path=str(path))
    return path


def test_pynwb_reads_the_rates_back(tmp_path):
    session = make_session()
    predictions = predicted(session)
    with pynwb.NWBHDF5IO(written(session, predictions, tmp_path), "r") as reader:
        nwb = reader.read()
        assert nwb.session_start_time == datetime.datetime.fromisoformat("2021-05-06T07:08:00+02:00")
        assert (nwb.subject.subject_id, nwb.subject.sex, nwb.session_id) == (
            "M1",
            "F",
            "day1",
        ) and "c0ffee" in nwb.identifier
        trials, units = nwb.trials.to_dataframe(), nwb.processing["predicted_rates"]["units"].to_dataframe()
        assert trials["trial_id"].tolist() == [3, 1, 4]  # in order of time
        assert trials["start_time"].tolist() == [7.0, 9.0, 11.0] and set(trials["split"]) == {"test"}
        np.testing.assert_allclose(trials["stop_time"], [7.12, 9.12, 11.06])
        assert trials["choice"].tolist() == ["r", "r", "l"] and trials["condition_name"].tolist() == [3, 1, 4]
        assert trials["ok"].tolist() == [True, True, False]
        assert units["unit_id"].tolist() == ["a", "b", "ü"] and units["region"].tolist() == ["CA1", "CA1", "LP"]
        for task, expected in predictions.items():
            series = nwb.processing["predicted_rates"][f"{task}_rates_hz"]
            assert series.unit == "Hz" and series.data.shape == (15, 3)
            times = series.timestamps[:]
            np.testing.assert_allclose(times[6:8], [9.0, 9.02])
            assert (np.diff(times) > 0).all()
            rows = np.concatenate([expected[1, :6], expected[0, :6], expected[2, :3]])  # of trials 1, 3, 4
            np.testing.assert_allclose(series.data[:], rows / 0.02, rtol=1e-6)


def test_trials_without_a_clock_lie_end_to_end(tmp_path):
    session = make_session(trial_start_s=np.zeros(5), info={}, conditions={})
    starts_s, has_clock = trial_clock(session, session.trials_of(TEST))
    np.testing.assert_allclose(starts_s, [0, 0.12, 0.24])
    assert not has_clock
    with pynwb.NWBHDF5IO(written(session, predicted(session), tmp_path), "r") as reader:
        nwb = reader.read()
        assert "end to end" in nwb.session_description and "not known" in nwb.session_description
        assert nwb.trials["trial_id"][:].tolist() == [1, 3, 4] and nwb.subject is None


def test_trials_that_share_time_lie_end_to_end():
    session = make_session()
    overlapping = dataclasses.replace(session, trial_start_s=np.array([1.0, 9.0, 5.0, 8.95, 11.0]))
    assert not trial_clock(overlapping, session.trials_of(TEST))[1]
    touching = dataclasses.replace(session, trial_start_s=np.array([1.0, 9.0, 5.0, 9.0 - 0.1199, 11.0]))
    assert trial_clock(touching, session.trials_of(TEST))[1]


def test_the_spread_of_an_ensemble_stands_beside_its_rates(tmp_path):
    session = make_session()
    predictions = predicted(session)
    apart = {task: 0.25 * values for task, values in predictions.items()}
    path = tmp_path / "day1.nwb"
    path.write_bytes(predictions_as_nwb(session, predictions, session.trials_of(TEST), "c0ffee", apart))
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(path, "r") as reader:
        rates = reader.read().processing["predicted_rates"]
        for task in predictions:
            series = rates[f"{task}_rates_hz_spread"]
            assert series.unit == "Hz" and "standard deviation over members" in series.description
            np.testing.assert_allclose(series.data[:], 0.25 * rates[f"{task}_rates_hz"].data[:], rtol=1e-6)
