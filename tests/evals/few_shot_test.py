"""Few-shot read-outs: better with more trials and better features, and blind to everything else."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baseline_scores, few_shot, protocols, scoring
from neurojax.evals.baselines.folds import smooth

NUM_HELD_OUT = 6


def make_session(num_trials=60, seed=0):
    """Ragged trials whose log rates follow two slow latents, which are returned too: [trials, T, 2]."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(15, 21, num_trials)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    latents = np.tanh(np.cumsum(rng.normal(0, 0.4, (offsets[-1], 2)), 0) % 3 - 1.5)
    loadings = rng.normal(0, 1.0, (2, 30))
    counts = rng.poisson(0.3 * np.exp(latents @ loadings))
    session = from_counts(
        counts,
        bin_size_s=0.02,
        session_id="rat",
        trial_offsets=offsets,
        split=np.resize([TRAIN, TRAIN, TRAIN, TEST, VALIDATION], num_trials),
        unit_metadata={"heldout": np.arange(30) < NUM_HELD_OUT},
    )
    padded = np.zeros((num_trials, 20, 2))
    for trial, (start, length) in enumerate(zip(offsets[:-1], lengths, strict=True)):
        padded[trial, :length] = latents[start : start + length]
    return session, padded


SESSION, LATENTS = make_session()
PROTOCOL = protocols.get_protocol("few_shot")


def features_of(latents, session=SESSION):
    train, test = (session.trials_of(split) for split in (TRAIN, TEST))
    return few_shot.principal(latents[train], latents[test], session.gather_trials(train)[1])


@pytest.fixture(scope="module")
def scored():
    return few_shot.score(SESSION, PROTOCOL, [features_of(LATENTS)], seed=0, num_boot=50)


def test_the_truth_is_read_out_better_from_more_trials_and_better_than_spikes(scored):
    blocks, _ = scored
    values = [blocks[f"few_shot_{k}"]["bps_pooled"] for k in (1, 4, 16)]
    assert values[0] < values[1] < values[2]
    assert blocks["few_shot_64"]["bps_pooled"] is None
    assert blocks["few_shot_64"]["bps_pooled_reason"] == "the session has 36 train trials, the read-out wants 64"
    spikes, _ = few_shot.score(SESSION, PROTOCOL, few_shot.smoothed_spikes(SESSION, PROTOCOL), seed=0, num_boot=0)
    mean, _ = few_shot.score(SESSION, PROTOCOL, [], seed=0, num_boot=0)
    for k in (4, 16):
        task = f"few_shot_{k}"
        assert mean[task]["bps_pooled"] < spikes[task]["bps_pooled"] < blocks[task]["bps_pooled"]


def test_the_score_is_the_mean_of_the_draws_and_its_interval_holds_it(scored):
    blocks, sums = scored
    block = blocks["few_shot_4"]
    assert block["num_draws"] == len(block["bps_pooled_draws"]) == 5 and block["read_out_trials"] == 4
    np.testing.assert_allclose(block["bps_pooled"], np.mean(block["bps_pooled_draws"]), rtol=1e-12)
    low, high = block["bps_pooled_ci95"]
    assert low < block["bps_pooled"] < high
    paired = scoring.score_sums(SESSION, [sums["few_shot_4"]], seed=0, num_boot=0)
    np.testing.assert_allclose(paired["bps_pooled"], block["bps_pooled"], rtol=1e-12)
    trials_alone = scoring.score_sums(SESSION, [sums["few_shot_4"]], seed=0, num_boot=50)["bps_pooled_se"]
    assert block["bps_pooled_se"] > trials_alone  # the draws of trials add theirs


def test_draws_are_nested_and_repeatable():
    few, more = (few_shot.draw_trials(SESSION, PROTOCOL, f"few_shot_{k}") for k in (4, 16))
    for one, other in zip(few, more, strict=True):
        np.testing.assert_array_equal(one, other[:4])
        assert len(set(other.tolist())) == 16
    assert len({tuple(draw) for draw in few}) == 5
    again = few_shot.draw_trials(dataclasses.replace(SESSION, session_id="cat"), PROTOCOL, "few_shot_4")
    assert not np.array_equal(few, again)


@pytest.mark.parametrize("number", [1, 4])
def test_a_read_out_knows_its_few_trials_of_the_new_units_and_nothing_else(number):
    train = SESSION.trials_of(TRAIN)
    counts, bin_valid = SESSION.gather_trials(train)
    counts, drawn = counts[:, :, :NUM_HELD_OUT], np.arange(number)
    features = [features_of(LATENTS)]
    before = few_shot.read_out(features, counts, bin_valid, drawn)
    others = np.array(counts)
    others[number:] += 7
    others[:number][~bin_valid[:number]] += 7
    np.testing.assert_array_equal(few_shot.read_out(features, others, bin_valid, drawn), before)
    own = np.array(counts)
    own[0, :5] += 3
    assert not np.allclose(few_shot.read_out(features, own, bin_valid, drawn), before)
    assert before.shape == (len(SESSION.trials_of(TEST)), 20, NUM_HELD_OUT) and (before > 0).all()


def test_axes_and_scale_of_the_features_come_from_valid_train_bins():
    moved = np.array(LATENTS)
    moved[SESSION.trials_of(TEST)[1:]] += 5.0
    moved[SESSION.trials_of(TRAIN)] += 1e3 * ~SESSION.gather_trials(SESSION.trials_of(TRAIN))[1][..., None]
    before, after = features_of(LATENTS), features_of(moved)
    valid = SESSION.gather_trials(SESSION.trials_of(TRAIN))[1]
    np.testing.assert_array_equal(after.train[valid], before.train[valid])
    np.testing.assert_array_equal(after.test[0], before.test[0])
    np.testing.assert_allclose((before.train[valid] ** 2).sum(1).mean(), 1.0, rtol=1e-5)


def test_the_baselines_of_the_protocol_are_scored_and_kept(tmp_path):
    settings = {"protocol": "few_shot", "num_boot": 20, "baselines": "ridge,psth"}
    found = baseline_scores.cached_scores(dataset_of([SESSION]), str(tmp_path), None, settings, 0)["rat"]
    assert set(found.scores) == set(few_shot.BASELINES)
    for tasks in found.scores.values():
        assert list(tasks) == list(PROTOCOL.tasks)
    again = baseline_scores.cached_scores(dataset_of([SESSION]), str(tmp_path), None, settings, 0)["rat"]
    assert again.scores == found.scores
    excess = again.excess["smoothed_spikes"]
    assert np.isfinite(excess["few_shot_4"][:, :NUM_HELD_OUT]).all() and np.isnan(excess["few_shot_64"]).all()


def test_spikes_are_smoothed_by_the_same_seconds_in_any_bins():
    wide = dataclasses.replace(SESSION, bin_size_s=0.05)
    for session, sigmas in ((SESSION, (0.0, 2.0, 6.0)), (wide, (0.0, 0.8, 2.4))):
        found = few_shot.smoothed_spikes(session, PROTOCOL)
        assert len(found) == len(sigmas)
        parts = [session.gather_trials(session.trials_of(split)) for split in (TRAIN, TEST)]
        roots = [np.sqrt(counts[:, :, NUM_HELD_OUT:].astype(np.float32)) for counts, _ in parts]
        for features, sigma in zip(found, sigmas, strict=True):
            smoothed = [smooth(x, valid, sigma) for x, (_, valid) in zip(roots, parts, strict=True)]
            expected = few_shot.principal(*smoothed, parts[0][1])
            np.testing.assert_allclose(np.abs(features.test), np.abs(expected.test), atol=1e-4)
    assert len(few_shot.smoothed_spikes(dataclasses.replace(SESSION, bin_size_s=0.5), PROTOCOL)) == 1
