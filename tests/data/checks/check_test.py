import json

import numpy as np
import pytest

from neurojax.data.checks.check import check_dataset, compare_datasets, unit_rates_hz
from neurojax.data.splits import later_trials_within
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts

SPLIT = np.repeat([0, 1, 2], [14, 2, 4])


def make(session_id="a", seed=0, counts=None, **fields):
    counts = np.random.default_rng(seed).poisson(0.4, (20, 10, 6)) if counts is None else counts
    given = {"split": SPLIT, "region": ["CA1", "CA1", "DG", "root", "", "void"], "bin_size_s": 0.02}
    return from_counts(counts, session_id=session_id, **(given | fields))


def check(*sessions):
    report = check_dataset(dataset_of(sessions))
    json.dumps(report, allow_nan=False)
    return report


def test_facts_agree_with_an_independent_count():
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 6))
    counts[:, :, 2] = 0
    counts[:14, :, 3] = 0
    report = check(make(counts=counts), make("b", seed=1))
    facts = report["sessions"]["a"]
    assert report["usable"] and not facts["errors"] and not facts["warnings"]
    assert (report["num_sessions"], report["num_units"], report["num_trials"]) == (2, 12, 40)
    assert facts["num_spikes"] == counts.sum()
    np.testing.assert_allclose(facts["mean_rate_hz"], counts.mean() / 0.02)
    assert (facts["silent_units"], facts["silent_units_train"]) == (1, 2)
    assert facts["regions"] == {"CA1": 2, "DG": 1} and facts["units_without_region"] == 3
    assert facts["trials_per_split"] == {"train": 14, "validation": 2, "test": 4}
    assert facts["trial_bins"] == {"min": 10, "median": 10.0, "max": 10}
    np.testing.assert_allclose(unit_rates_hz(make(counts=counts)), counts.mean((0, 1)) / 0.02)


def test_ragged_trials_are_counted_by_their_own_bins():
    flat = np.random.default_rng(0).poisson(0.4, (30, 6))
    session = make(counts=flat, trial_offsets=[0, 5, 12, 30], split=[0, 1, 2])
    facts = check(session)["sessions"]["a"]
    assert facts["trial_bins"] == {"min": 5, "median": 7.0, "max": 18}
    np.testing.assert_allclose(facts["mean_rate_hz"], flat.mean() / 0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": np.repeat([0, 1], 10)}, "no test trial"),
        ({"split": np.repeat([2, 1], 10)}, "no train trial"),
        ({"counts": np.zeros((20, 10, 6), int)}, "no spikes"),
        (
            {"counts": np.where(SPLIT[:, None, None] == 0, 0, np.ones((20, 10, 6), int))},
            "no spikes in the train",
        ),
        (
            {"counts": np.where(SPLIT[:, None, None] == 2, 0, np.ones((20, 10, 6), int))},
            "no spikes in the test",
        ),
        (
            {"behaviour": {"x": np.full(200, np.nan)}, "behaviour_valid": {"x": np.ones(200, bool)}},
            "'x' has NaN or infinity in bins marked valid",
        ),
    ],
)
def test_an_unusable_session_says_why(change, message):
    report = check(make(**change))
    assert not report["usable"]
    assert any(message in error for error in report["sessions"]["a"]["errors"])


def repeated(source, copy):
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 6))
    counts[copy] = counts[source]
    return check(make(counts=counts))["sessions"]["a"]


def test_a_repeated_trial_across_splits_is_an_error():
    facts = repeated(0, 19)
    assert facts["duplicate_trials"] == {"within_split": 0, "across_splits": 1, "by_chance": 0}
    assert facts["errors"] == ["trials that repeat one of another split: 1"]


def test_a_repeated_trial_within_a_split_is_a_warning():
    facts = repeated(0, 1)
    assert facts["duplicate_trials"]["within_split"] == 1
    assert not facts["errors"] and "their own split" in facts["warnings"][0]


def test_silent_and_nearly_silent_trials_are_no_copies():
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 6))
    counts[[0, 5, 19]] = 0
    assert not check(make(counts=counts))["sessions"]["a"]["warnings"]
    counts[[0, 19], 0, 0] = 7  # equal, but too few spikes to be sure
    facts = check(make(counts=counts))["sessions"]["a"]
    assert facts["duplicate_trials"]["by_chance"] == 1 and not facts["errors"]


def test_one_recording_under_two_names_is_an_error_of_the_second():
    report = check(make("a"), make("b", split=SPLIT[::-1]), make("c", seed=1))
    assert report["sessions"]["b"]["errors"] == ["trials that repeat one of session a: 20"]
    assert not report["sessions"]["a"]["errors"] and not report["sessions"]["c"]["errors"]


def test_trials_that_share_time_across_splits_are_an_error():
    starts = np.arange(20) * 0.2
    starts[14] -= 0.05  # the first validation trial begins inside the last train trial
    report = check(make(trial_start_s=starts))
    facts = report["sessions"]["a"]
    assert facts["overlapping_trials_across_splits"] == 1 and not report["usable"]
    assert facts["errors"] == ["pairs of trials of different splits that share time: 1"]


@pytest.mark.parametrize(
    "starts",
    [None, np.zeros(20), np.arange(20) * 0.2 - np.arange(20) % 2 * 0.009, 1.7e9 + np.arange(20) * 0.2],
    ids=["end_to_end", "no_session_clock", "jitter_below_half_a_bin", "unix_seconds"],
)
def test_trials_that_share_no_time_are_fit(starts):
    report = check(make(trial_start_s=starts, split=np.arange(20) % 3))
    assert report["usable"] and report["sessions"]["a"]["overlapping_trials_across_splits"] == 0


def test_every_pair_that_shares_time_is_found():
    rng = np.random.default_rng(0)
    starts, length, split = rng.uniform(0, 4, 20), rng.integers(1, 60, 20), rng.integers(0, 3, 20)
    pairs = [
        (a, b) for a in range(20) for b in range(20)
        if (starts[a], a) < (starts[b], b) and starts[b] < starts[a] + (length[a] - 0.5) * 0.02
    ]  # fmt: skip
    apart = [pair for pair in pairs if split[pair[0]] != split[pair[1]]]
    assert any(abs(np.argsort(np.argsort(starts))[[*pair]] @ [1, -1]) > 1 for pair in apart)  # no neighbours
    assert later_trials_within(starts, length, 0.02).sum() == len(pairs)
    expected = np.bincount([a for a, _ in apart], minlength=20)
    np.testing.assert_array_equal(later_trials_within(starts, length, 0.02, split), expected)


def test_what_is_odd_but_usable_is_a_warning():
    values = np.zeros(200)
    values[:3] = np.nan
    session = make(
        split=np.repeat([0, 2], 10),
        region=[""] * 6,
        trial_start_s=np.zeros(20),
        behaviour={"x": values},
        counts=np.random.default_rng(0).poisson(5, (20, 10, 6)),
    )
    report = check(session)
    facts = report["sessions"]["a"]
    assert report["usable"] and facts["non_finite_behaviour"] == {"x": 3}
    said = " ".join(facts["warnings"])
    for part in ("no validation trial", "no unit has a region", "check bin_size_s", "'x' has 3 bins"):
        assert part in said
    assert "start at one time" in said


def codes(facts, level):
    return {finding["code"] for finding in facts["findings"] if finding["level"] == level}


def test_every_finding_has_a_level_a_sentence_and_a_remedy():
    session = make(split=np.repeat([0, 2], 10), region=["CA1"] + [""] * 5, info={"findings": {"odd thing": 3}})
    facts = check(session)["sessions"]["a"]
    assert codes(facts, "warning") == {"no_validation_trial"}
    assert codes(facts, "note") == {"units_without_region", "odd_thing"}
    assert facts["findings"][0]["level"] == "warning"  # the worst first
    assert all(finding["sentence"] and finding["remedy"] for finding in facts["findings"])
    assert facts["warnings"] == ["no validation trial"]


def test_a_gap_in_the_recording_is_found():
    counts = np.random.default_rng(0).poisson(1, (20, 100, 6))
    counts[:, :40, :5] = 0  # five of six units pause: no gap
    assert "gaps" not in codes(check(make(counts=counts))["sessions"]["a"], "warning")
    counts[3] = counts[7, 40:80] = 0
    facts = check(make(counts=counts))["sessions"]["a"]
    assert facts["silent_stretches"] == {"number": 2, "total_s": pytest.approx(2.8)}
    assert "gaps" in codes(facts, "warning")
    sparse = np.random.default_rng(0).poisson(0.01, (20, 100, 6))  # silence is what they do
    assert check(make(counts=sparse))["sessions"]["a"]["silent_stretches"]["number"] == 0


def test_large_counts_are_told():
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 6))
    counts[0, 0, 0] = 300
    facts = check(make(counts=counts))["sessions"]["a"]
    assert facts["max_count"] == 300
    assert "counts_over_255" in codes(facts, "note") and "count_too_high" in codes(facts, "warning")


def test_trials_of_one_split_that_share_time_are_a_warning():
    facts = check(make(trial_start_s=np.arange(20) * 0.15, split=np.zeros(20, int)))["sessions"]["a"]
    assert "trials_share_time" in codes(facts, "warning") and facts["overlapping_trials"] == 19


def test_datasets_that_hold_one_recording_are_told():
    spikes = np.random.default_rng(0).gamma(1, 1, (60, 1, 12)) * np.ones((60, 20, 1))
    counts = np.random.default_rng(1).poisson(spikes)
    one = dataset_of([from_counts(counts, bin_size_s=0.02, session_id="fine")])
    two = dataset_of(
        [
            from_counts(counts.reshape(60, 10, 2, 12).sum(2), bin_size_s=0.04, session_id="coarse"),
            from_counts(np.random.default_rng(2).permutation(counts), bin_size_s=0.04, session_id="other"),
        ]
    )
    (found,) = compare_datasets({"x": one, "y": two})
    assert found.sentence == "x/fine and y/coarse hold the same 12 units" and found.level == "warning"
