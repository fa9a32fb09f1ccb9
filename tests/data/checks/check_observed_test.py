"""`check` says how much of a session was not observed, and takes none of it for silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.checks.check import check_dataset, session_findings
from neurojax.data.checks.check_observed import observed_facts, spikes_due
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts

TRIALS, BINS, UNITS = 20, 50, 12


def session(observed=None, rate=0.8, **fields):
    counts = np.random.default_rng(0).poisson(rate, (TRIALS, BINS, UNITS))
    observed = None if observed is None else np.reshape(observed, (TRIALS, BINS, UNITS))
    return from_counts(counts, bin_size_s=0.02, session_id="a", observed=observed, region=["CA1"] * UNITS, **fields)


def everything():
    return np.ones((TRIALS * BINS, UNITS), bool)


def findings(made):
    return {one.code: one for one in session_findings(made)}


def test_what_is_observed_throughout_is_not_mentioned():
    assert observed_facts(session()) is None and "partly_observed" not in findings(session())


def test_entries_units_and_stretches_are_counted():
    observed = everything()
    observed[100:150, :3], observed[400:500, :3], observed[900:, 5] = False, False, False
    made = session(observed)
    facts = observed_facts(made)
    assert facts == {"share": pytest.approx(1 - (450 + 100) / 12000), "units": 4, "stretches": 3, "longest_s": 2.0}
    one = findings(made)["partly_observed"]
    assert one.level == "note" and "4.6 % of bins x units (4 of 12 units, 3 stretches of up to 2.0 s)" in one.sentence


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), share=st.floats(0.05, 0.999), block=st.sampled_from([1, 10, 50]))
def test_facts_agree_with_the_mask(seed, share, block):
    rng = np.random.default_rng(seed)
    observed = np.repeat(rng.random((TRIALS * BINS // block, UNITS)) < share, block, axis=0)
    observed[0] = True
    made = session(observed)
    facts = observed_facts(made)
    if observed.all():
        assert facts is None
        return
    assert facts["share"] == pytest.approx(observed.mean()) and facts["units"] == (~observed.all(0)).sum()
    rates = rng.random(UNITS)
    np.testing.assert_allclose(spikes_due(made, rates), observed @ rates, atol=1e-9)
    padded = np.pad(observed, ((1, 1), (0, 0)), constant_values=True).astype(int)
    runs = [np.flatnonzero(np.diff(column)) for column in padded.T]
    assert facts["longest_s"] == pytest.approx(max(np.diff(run)[::2].max(initial=0) for run in runs) * 0.02)
    assert facts["stretches"] == len({tuple(pair) for run in runs for pair in run.reshape(-1, 2).tolist()})


def test_time_that_was_not_observed_is_no_gap_and_no_silence():
    observed = everything()
    observed[200:400] = False  # 4 s in which no unit was observed
    made = session(observed, trial_start_s=np.arange(TRIALS) * 1.0)
    assert "gaps" not in findings(made)
    half = everything()
    half[200:400, :11] = False  # one unit stays, that fires rarely and not in this time
    counts = np.random.default_rng(0).poisson(0.8, (TRIALS * BINS, UNITS))
    counts[:, 11] = np.arange(TRIALS * BINS) % 250 == 10
    made = from_counts(
        counts.reshape(TRIALS, BINS, UNITS), bin_size_s=0.02, session_id="a", observed=half.reshape(TRIALS, BINS, UNITS)
    )
    assert "gaps" not in findings(made)


def test_a_gap_beside_time_that_was_not_observed_is_as_long_as_was_watched():
    counts = np.random.default_rng(0).poisson(0.8, (1, TRIALS * BINS, UNITS))
    counts[0, 200:400] = 0
    observed = everything()
    observed[230:400] = False
    made = from_counts(
        np.concatenate([counts] * 3),
        bin_size_s=0.02,
        session_id="a",
        observed=np.stack([observed] * 3),
        split=[0, 1, 2],
    )
    assert "silent: 3, 1.8 s in all" in findings(made)["gaps"].sentence


def test_a_gap_of_what_was_observed_is_still_found():
    counts = np.random.default_rng(0).poisson(0.8, (TRIALS, BINS, UNITS))
    counts.reshape(-1, UNITS)[200:400] = 0
    observed = everything()
    observed[600:800] = False
    made = from_counts(
        counts, bin_size_s=0.02, session_id="a", observed=observed.reshape(counts.shape), trial_start_s=np.arange(20.0)
    )
    assert "stretches in which all units are silent: 4, 4.0 s" in findings(made)["gaps"].sentence


def test_rates_are_of_the_time_that_was_observed(tmp_path):
    observed = everything()
    observed[:, :6] = False
    observed[:100, :6] = True
    for name, mask in (("all", None), ("half", observed)):
        write_session(session(mask, rate=2.0), tmp_path / name)
        write_dataset_index(tmp_path / name)
    rates = [check_dataset(open_dataset(tmp_path / name))["sessions"]["a"]["mean_rate_hz"] for name in ("all", "half")]
    assert rates[1] == pytest.approx(rates[0], rel=0.05)


def test_units_that_a_split_never_sees_are_told():
    split = np.repeat([0, 1, 2], [14, 2, 4])
    observed = everything().reshape(TRIALS, BINS, UNITS)
    observed[split == 2, :, :2], observed[split == 0, :, 7] = False, False
    found = findings(session(observed, split=split))
    assert "2 of 12 units were not observed in any test trial" in found["unobserved_test"].sentence
    assert "1 of 12 units were not observed in any train trial" in found["unobserved_train"].sentence


def test_most_of_a_session_missing_is_a_warning():
    observed = everything()
    observed[300:] = False
    observed[::7] = True
    assert findings(session(observed))["partly_observed"].level == "warning"
