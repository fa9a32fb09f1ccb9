import numpy as np
import pytest

from neurojax.data.checks.findings import recorded_findings, spike_findings
from neurojax.data.session import Session

STARTS, STOPS = np.array([0.0, 2.0, 50.0]), np.array([1.0, 3.0, 51.0])


def test_each_fault_of_spike_times_is_counted():
    times = np.array([0.5, -1.0, 0.7, 0.7, 0.7, 2.5, 2.5])
    units = np.array([0, 1, 0, 1, 0, 2, 2])
    assert spike_findings(times, units, 5, STARTS, STOPS) == {
        "unsorted spike times": 1,
        "negative spike times": 1,
        "repeated spike times": 2,  # unit 0 at 0.7 with unit 1 between, and unit 2 at 2.5
        "units without spikes": 2,
        "trials that reach outside of the spikes": 1,
    }
    rng = np.random.default_rng(0)
    order = rng.permutation(len(times))
    assert spike_findings(times[order], units[order], 5, STARTS, STOPS)["repeated spike times"] == 2
    assert spike_findings(np.arange(0, 52, 0.5), np.zeros(104, int), 1, STARTS, STOPS) == {}
    assert spike_findings(np.empty(0), np.empty(0, int), 1, STARTS[:2], STOPS[:2]) == {"units without spikes": 1}


def test_a_session_from_spike_times_keeps_what_was_odd():
    trials = np.stack([STARTS, STOPS], 1)
    session = Session.from_spike_times([0.5, 0.5, 2.1], [0, 0, 1], trials=trials, info={"findings": {"my own": 1}})
    assert session.info["findings"] == {
        "repeated spike times": 1, "trials that reach outside of the spikes": 1, "my own": 1,
    }  # fmt: skip


def test_the_record_becomes_findings_and_damage_is_passed_over():
    info = {
        "findings": {"negative spike times": 4, "my own": 1, "none": 0, "text": "x"},
        "units_dropped": {"noise": 3},
        "trials_dropped": ["damaged"],
        "spikes_dropped": None,
    }
    found = {finding.code: (finding.level, finding.sentence) for finding in recorded_findings(info)}
    assert found == {
        "negative_spike_times": ("warning", "negative spike times: 4"),
        "my_own": ("note", "my own: 1"),
        "units_dropped": ("note", "units left out (noise): 3"),
    }
    assert all(finding.remedy for finding in recorded_findings(info))


@pytest.mark.parametrize("units", [3, 10])
@pytest.mark.parametrize("silence", ["unobserved", "keep"])
def test_trials_outside_of_the_spikes_are_silence_only_where_they_count_as_observed(units, silence):
    rng = np.random.default_rng(0)
    times, ids = rng.uniform(0, 60, 600 * units), np.tile(np.arange(units), 600)
    starts = np.array([*np.arange(0, 58, 2.0), times.max() + 0.01, 80.0, 90.0])  # the first reaches out of a margin
    session = Session.from_spike_times(times, ids, trials=np.stack([starts, starts + 1], 1), silence=silence)
    found = session.info.get("findings", {}).get("trials that reach outside of the spikes", 0)
    seen = session.entry_valid(np.arange(session.num_trials))
    assert found == (0 if units == 10 and silence == "unobserved" else 3)
    assert session.info.get("trials_dropped") == (None if found else {"never observed": 2}) and seen.all() == (
        found == 3
    )


def test_trials_observed_for_one_unit_alone_count_as_silence():
    times, units = np.array([1.0, 2.0, 3.0]), np.array([0, 1, 0])
    seen = np.ones((9, 2), bool)
    seen[3:6], seen[6:9, 0] = [[True, True], [False, False], [True, True]], False
    starts = np.array([0.0, 10.0, 20.0])
    found = spike_findings(times, units, 2, starts, starts + 3, np.full(3, 3), seen)
    assert found == {"trials that reach outside of the spikes": 1}
