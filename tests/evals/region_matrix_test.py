"""The nulls are those of permuted trials and flipped signs, and tell a region that helps from one that does not."""

import json

import numpy as np
import pytest

from neurojax.evals import region_matrix as regions
from neurojax.scores import metrics

K, T, BIN_VALID = 24, 10, np.ones((24, 10), bool)
MEMBERS = {name: np.repeat(np.arange(3) == place, 4) for place, name in enumerate(("A", "B", "C"))}
SHARED = np.random.default_rng(0).normal(size=(K, T))  # drives A and B, not C
DRIVEN = MEMBERS["A"] | MEMBERS["B"]
RATES = 0.5 * np.exp(np.where(DRIVEN, SHARED[..., None], 0.0))
COUNTS = np.random.default_rng(1).poisson(RATES)


def predict(visible_sets):
    """Knows the shared drive when it sees A or B, else each unit's mean."""
    for visible in visible_sets:
        yield np.where(visible, np.nan, RATES if (visible & DRIVEN).any() else np.full(RATES.shape, RATES.mean((0, 1))))


def found(bin_valid=BIN_VALID, counts=COUNTS, members=MEMBERS, num_permutations=199, **known):
    visible = np.ones(12, bool)
    return regions.region_matrix(
        members, visible, counts, bin_valid, predict, known, seed=0, num_permutations=num_permutations
    )


def test_a_driving_region_is_told_from_one_that_says_nothing():
    block = found(intra_region=RATES)
    alone = {name: np.array(block["alone"][name], float) for name in ("bps_pooled", "p_value", "q_value")}
    assert block["names"] == ["A", "B", "C"] and block["num_units"] == [4, 4, 4] and "drop" not in block
    assert alone["bps_pooled"][0, 1] > 0.3 and alone["p_value"][0, 1] == alone["p_value"][1, 0] == 1 / 200
    assert (alone["p_value"][2, :2] > 0.2).all() and (alone["q_value"][[0, 1], [1, 0]] < 0.05).all()
    assert np.isnan(np.diag(alone["p_value"])).all() and alone["bps_pooled"][0, 0] > 0.3
    assert block["alone"]["off_distribution"] is True
    json.dumps(block, allow_nan=False)


def test_the_null_is_that_of_permuted_trials():
    orders = np.stack([np.random.default_rng(seed).permutation(K) for seed in range(9)])
    units = MEMBERS["B"]
    p_value, null = regions._permuted(RATES, COUNTS, units, (np.arange(K), T), orders)

    def score(order):
        sums = metrics.poisson_sums(RATES[order][:, :, units], COUNTS[:, :, units])
        return metrics.poisson_scores(sums)["bps_pooled"]

    drawn = np.array([score(order) for order in orders])
    assert null == pytest.approx(drawn.mean(), rel=1e-9)
    assert p_value == pytest.approx((1 + (drawn >= score(np.arange(K))).sum()) / 10)
    same = np.tile(np.arange(K), (9, 1))
    assert regions._permuted(RATES, COUNTS, units, (np.arange(K), T), same)[0] == 1


def test_the_loss_without_a_region_is_the_difference_of_scores():
    block = found(inter_region=RATES)["drop"]  # C adds nothing to B, and A alone carries the drive of B
    loss, p_value = (np.array(block[name], float) for name in ("bps_pooled", "p_value"))
    units = MEMBERS["B"]
    with_a, without_a = (
        metrics.poisson_scores(metrics.poisson_sums(rates[:, :, units], COUNTS[:, :, units]))["bps_pooled"]
        for rates in (RATES, np.full(RATES.shape, RATES.mean((0, 1))))
    )
    assert loss[0, 1] == pytest.approx(with_a - without_a, rel=1e-4) and p_value[0, 1] == 1 / 200
    assert loss[2, 1] == 0 and p_value[2, 1] == 1


def test_ragged_trials_are_cropped_for_the_null_and_bins_past_their_end_never_count():
    bin_valid = np.arange(T) < np.where(np.arange(K) < 6, 4, T)[:, None]
    known = {"inter_region": np.where(bin_valid[..., None], RATES, np.nan)}
    clean, dirty = (found(bin_valid, np.where(bin_valid[..., None], COUNTS, past), **known) for past in (0, 99))
    assert clean == dirty and clean["alone"]["p_value"][0][1] == 1 / 200


def test_two_regions_and_nothing_else_are_what_the_scheme_trains():
    members = {"A": np.arange(12) < 6, "B": np.arange(12) >= 6}
    options = {"seed": 0, "num_permutations": 0, "schemes": ("neuron", "inter_region")}
    block = regions.region_matrix(members, np.ones(12, bool), COUNTS, BIN_VALID, predict, {}, **options)
    assert block["alone"]["off_distribution"] is False and block["alone"]["p_value"] == [[None, None], [None, None]]
    stray = np.arange(13) < 13
    wider = {name: np.append(group, False) for name, group in members.items()}
    counts = np.concatenate([COUNTS, COUNTS[..., :1]], axis=-1)

    def one_more(sets):
        return (np.append(rates, rates[..., :1], axis=-1) for rates in predict(sets[:, :12]))

    assert regions.region_matrix(wider, stray, counts, BIN_VALID, one_more, {}, **options)["alone"]["off_distribution"]
    assert regions.region_matrix({"A": members["A"]}, stray[:12], COUNTS, BIN_VALID, predict, {}, **options) == {}
