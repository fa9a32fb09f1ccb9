"""Decoding and observed time: gaps are no features, trials nobody watched no trials, a lost keypoint takes no other."""

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from neurojax.data import observed
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals.decoding import calibration, decoder, features, folds, recurrent, scores, targets, whole_trial
from neurojax.scores.known import known_together

NUM_TRIALS, NUM_BINS, NUM_UNITS = 40, 10, 8


def make_session(seen=None, lost_dims=(), seed=0):
    """Counts that follow two signals; `lost_dims` of three are NaN throughout, the third moves by itself."""
    rng = np.random.default_rng(seed)
    signal = np.cumsum(rng.standard_normal((NUM_TRIALS, NUM_BINS, 2)), axis=1) * 0.5
    counts = rng.poisson(np.exp(signal @ rng.standard_normal((2, NUM_UNITS)) * 0.6))
    hand = np.concatenate([signal, rng.standard_normal((NUM_TRIALS, NUM_BINS, 1))], axis=-1).reshape(-1, 3)
    hand[:, list(lost_dims)] = np.nan
    return from_counts(
        counts,
        bin_size_s=0.02,
        session_id="day",
        split=np.resize([0, 0, 0, 1, 2], NUM_TRIALS),
        trial_start_s=np.arange(NUM_TRIALS) * 2.0,
        conditions={"side": (signal[..., 0].mean(1) > 0).astype(int), "size": signal[..., 1].mean(1)},
        behaviour={"hand": hand.astype(np.float32)},
        observed=seen,
    )


def poked(session):
    seen = observed.entries_of(session.validity, *session.counts.shape)
    return dataclasses.replace(session, counts=np.where(seen, session.counts, 7).astype(np.uint8))


def gaps(seed):
    seen = np.random.default_rng(seed).random((NUM_TRIALS, NUM_BINS, NUM_UNITS)) > 0.3
    seen[20:, :, :4] = False
    seen[7] = False
    return seen


def decoded(session, name, read_outs=None):
    target = targets.read_target(session, name)
    made = decoder.baselines(session, target, read_outs or decoder.BASELINES[target.kind][:2], 0)
    outer = folds.outer_folds(session, target, 3, "trial", 0)
    unseen = np.ones(len(target.trial_ids), bool)
    result = decoder.decode(session, target, made, outer, unseen, seed=0, num_permutations=0)
    return target, result, decoder.record(result, 0)[0]


@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**16), st.sampled_from(["hand", "side", "size"]))
def test_counts_that_nobody_watched_change_no_decoder(seed, name):
    session = make_session(gaps(seed))
    target, _, ours = decoded(session, name)
    assert ours == decoded(poked(session), name)[2]
    assert target.num_unobserved == 1 and 7 not in target.trial_ids
    main = scores.MAIN[target.kind]
    assert all(np.isfinite(block[main]) for block in ours.values())


def test_a_gap_is_at_the_mean_of_a_unit_and_its_root_at_that_of_roots():
    session = make_session(gaps(1))
    trials = np.arange(NUM_TRIALS)
    seen, raw = session.entry_valid(trials), features.spikes(session, trials)
    counts = session.gather_trials(trials)[0].astype(float)
    for made, values in ((raw, counts), (features.square_root(raw), np.sqrt(counts))):
        for unit in range(NUM_UNITS):
            own = values[..., unit][seen[..., unit]]
            np.testing.assert_allclose(made.signals[..., unit][seen[..., unit]], own, rtol=1e-6)
            np.testing.assert_allclose(made.signals[..., unit][~seen[..., unit]], own.mean(), rtol=1e-5)
    both = features.side_by_side(raw, dataclasses.replace(raw, observed=None))
    np.testing.assert_array_equal(both.observed[..., :NUM_UNITS], seen)
    assert both.observed[..., NUM_UNITS:].all()
    rows = whole_trial._rows(raw, {"window_s": 0.04, "square_root": "counts", "width_s": 0.0}, 0.02)
    assert np.isfinite(rows).all()
    assert features.spikes(make_session(), trials).observed is None


def test_a_probe_that_dies_decodes_as_its_units_did_while_it_lived():
    """Half the trials without half the units: what is left still tells more than silence taken for counts."""
    seen = np.ones((NUM_TRIALS, NUM_BINS, NUM_UNITS), bool)
    seen[::2, :, :4] = False
    session = make_session(seen)
    blind = session.with_fields(validity=None)
    told, silent = (decoded(one, "hand", ("raw",))[2]["raw"]["r2_per_dimension"][:2] for one in (session, blind))
    assert np.mean(told) > np.mean(silent)


@pytest.mark.parametrize("name", ["raw", "lagged_ridge"])
def test_a_keypoint_that_was_never_found_takes_no_other_with_it(name):
    target, result, block = decoded(make_session(lost_dims=[1]), "hand", (name,))
    whole, _, _ = decoded(make_session(), "hand", (name,))
    assert target.dims_left_out == (1,) and target.values.shape[-1] == 2 and whole.dims_left_out == ()
    assert len(target.trial_ids) == NUM_TRIALS and target.num_missing == 0
    assert len(block[name]["r2_per_dimension"]) == 2 and block[name]["r2"] is not None
    np.testing.assert_array_equal(target.values, whole.values[..., [0, 2]])
    assert np.isfinite(result.decoded[name].predicted).all()


def test_a_network_learns_each_dimension_where_it_is_known():
    session = make_session()
    target = targets.read_target(session, "hand")
    values = target.values.copy()
    values[:15, :, 1] = values[:, 2:5, 0] = np.nan
    fit = recurrent.gru(features.spikes(session, target.trial_ids), 0, 0, steps=(3,))
    fitting, asked = np.arange(30), np.arange(30, NUM_TRIALS)
    found = fit(dataclasses.replace(target, values=values), fitting, asked)
    assert found.shape == (1, 10, NUM_BINS, 3) and np.isfinite(found).all()
    nothing = fit(dataclasses.replace(target, values=values), np.arange(15), asked)
    assert np.isnan(nothing[..., 1]).all() and np.isfinite(nothing[..., [0, 2]]).all()


@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**16), st.sampled_from(["raw", "lagged_ridge"]))
def test_each_dimension_is_decoded_as_if_it_were_alone(seed, name):
    """Bins that one dimension lacks are left out of its fit and its score, not out of those of the others."""
    rng = np.random.default_rng(seed)
    session = make_session()
    hand = np.array(session.behaviour["hand"])[:, :2]
    hand[rng.random(len(hand)) < 0.3, 1] = np.nan
    hand[:50, 1] = np.nan  # whole trials of it

    def scored(values):
        one = session.with_fields(behaviour={"hand": values}, behaviour_valid={"hand": np.isfinite(values).any(1)})
        return decoded(one, "hand", (name,))[2][name]

    both, first = scored(hand), scored(hand[:, :1])
    if name == "raw":  # the search of lagged_ridge chooses one width for all dimensions
        assert both["r2_per_dimension"][0] == pytest.approx(first["r2"], abs=2e-3)
        coverage = both["calibration"]["coverage_per_dimension"]
        assert coverage[0] == pytest.approx(first["calibration"]["coverage"], abs=2e-2)
        assert all(value > 0.2 for value in both["r2_per_dimension"])
    # The one width may suit the other dimension alone: seeds 1 and 16407 leave 0.09 and 0.13 of the second.
    assert all(value is not None and np.isfinite(value) for value in both["r2_per_dimension"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 30), st.integers(1, 9), st.floats(0, 1))
def test_dimensions_known_together_are_a_partition_of_them(seed, rows, dims, share):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((rows, dims)) < share, 1.0, np.nan)
    values[:, rng.integers(0, dims, dims // 2)] = values[:, :1]
    found = known_together(values)
    every = np.concatenate([np.arange(dims)[dim] for dim, _ in found])
    assert sorted(every.tolist()) == list(range(dims))
    for dim, known in found:
        np.testing.assert_array_equal(
            np.isfinite(values[:, dim]), np.broadcast_to(known[:, None], values[:, dim].shape)
        )
    assert len({known.tobytes() for _, known in found}) == len(found)


def test_shuffled_copies_of_a_signal_are_known_where_it_was():
    values = np.random.default_rng(0).standard_normal((6, 5, 2))
    values[2, 1:3, 0] = values[4, :, 1] = np.nan
    target = targets.Target("hand", targets.PER_BIN, np.arange(6), values)
    copies = scores.permuted_numbers(target, 3, 0).values
    known = np.isfinite(values)
    for first in range(0, 8, 2):
        copy = np.isfinite(copies[..., first : first + 2])
        assert not (copy & ~known).any() and copy[..., 0].sum() == known[..., 0].sum()


def test_intervals_are_counted_where_a_dimension_is_known():
    truth = np.array([[0.0, np.nan], [1.0, 5.0], [2.0, np.nan]])
    found = calibration.calibration_of_numbers(np.zeros((3, 2)), np.full((3, 2), 1.0), truth)
    assert found["coverage_per_dimension"] == pytest.approx([2 / 3, 0.0]) and found["coverage"] == pytest.approx(0.5)
    nothing = calibration.calibration_of_numbers(np.zeros((3, 1)), np.ones((3, 1)), np.full((3, 1), np.nan))
    assert nothing["coverage"] is None and nothing["mean_width_per_dimension"] == [None]


def test_bins_that_nobody_watched_have_no_target_and_all_of_them_are_an_error():
    seen = np.ones((NUM_TRIALS, NUM_BINS, NUM_UNITS), bool)
    seen[3, 4:6] = False
    target = targets.read_target(make_session(seen), "hand")
    assert np.isnan(target.values[3, 4:6]).all() and np.isfinite(target.values[3, :4]).all()
    blind = make_session().with_fields(validity=observed.ObservedIntervals(*(np.zeros(0, int) for _ in range(3))))
    for name in ("hand", "side"):
        with pytest.raises(InputError, match="observed"):
            targets.read_target(blind, name)
