import numpy as np

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
