"""Synthetic animals: the same for a seed, with the statistics that the spec promises."""

import dataclasses
import json

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.synthetic import animals as synthetic
from neurojax.data.synthetic import latent_dynamics
from neurojax.data.synthetic.animals import SyntheticSpec, make_session, make_sessions, make_truth, truth_of
from neurojax.errors import InputError

SMALL = SyntheticSpec(num_sessions=2, min_units=60, max_units=70, min_region_units=15, num_trials=60)


@pytest.fixture(scope="module")
def session():
    return make_session(SyntheticSpec(), 0, 0)


@pytest.fixture(scope="module")
def truth(session):
    return truth_of(session)


@pytest.mark.parametrize("dynamics", ["lorenz", "switching"])
def test_the_same_seed_gives_the_same_sessions_and_another_does_not(dynamics):
    spec = dataclasses.replace(SMALL, dynamics=dynamics)
    first, again, other = make_sessions(spec, 3), make_sessions(spec, 3), make_sessions(spec, 4)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.counts, two.counts)
        np.testing.assert_array_equal(one.true_rates, two.true_rates)
        np.testing.assert_array_equal(one.behaviour["wheel_speed"], two.behaviour["wheel_speed"])
    same_shape = min(first[0].num_units, other[0].num_units)
    assert (first[0].counts[:, :same_shape] != other[0].counts[:, :same_shape]).mean() > 0.05


def test_a_session_does_not_depend_on_how_many_there_are():
    few, many = make_sessions(SMALL, 0), make_sessions(dataclasses.replace(SMALL, num_sessions=4), 0)
    assert len(many) == 4
    for one, two in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.counts, two.counts)
        np.testing.assert_array_equal(one.split, two.split)
        assert one.info == two.info


def test_animals_differ_in_units_but_share_region_dynamics_and_wheel():
    first, second = make_truth(SMALL, 0, 0), make_truth(SMALL, 0, 1)
    np.testing.assert_array_equal(first.region_transition, second.region_transition)
    np.testing.assert_array_equal(first.wheel_weights, second.wheel_weights)
    assert not np.allclose(first.base_rate_hz[:50], second.base_rate_hz[:50])
    assert not np.allclose(first.latents, second.latents)


def test_animals_do_not_share_their_noise():
    noise = []
    for index in (0, 1):
        session, truth = make_session(SMALL, 0, index), make_truth(SMALL, 0, index)
        clean = (truth.latents[..., : truth.num_shared] @ truth.wheel_weights).reshape(-1)
        surplus = session.counts.sum(1) - session.true_rates.sum(1)
        noise.append(np.stack([session.behaviour["wheel_speed"][:, 0] - clean, surplus]))
    for first, second in zip(*noise, strict=True):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


@pytest.mark.parametrize("dynamics", ["lorenz", "switching"])
def test_shapes_and_dtypes_follow_the_session_record(dynamics):
    spec = dataclasses.replace(SMALL, dynamics=dynamics)
    session = make_session(spec, 0, 1)
    total_bins, num_units = 60 * 50, session.num_units
    assert 60 <= num_units <= 70
    assert session.counts.shape == session.true_rates.shape == (total_bins, num_units)
    assert (session.counts.dtype, session.true_rates.dtype) == (np.uint8, np.float32)
    assert session.behaviour["wheel_speed"].shape == (total_bins, 1)
    assert session.behaviour["wheel_speed"].dtype == np.float32
    assert session.behaviour_valid["wheel_speed"].all()
    assert len(set(session.unit_id)) == num_units
    assert set(session.region) == {"VISp", "CA1", "LP"}
    assert min(np.unique(session.region, return_counts=True)[1]) >= 15
    np.testing.assert_array_equal(np.bincount(session.split), [42, 6, 12])
    assert {TRAIN, VALIDATION, TEST} == set(session.split)
    assert np.all(np.diff(session.trial_start_s) >= 1.0)
    assert json.loads(json.dumps(session.info)) == session.info


def test_the_truth_is_found_again_from_the_info_as_json(session):
    stored = dataclasses.replace(session, info=json.loads(json.dumps(session.info)))
    rates = np.exp(truth_of(stored).log_rates()).reshape(session.true_rates.shape)
    np.testing.assert_allclose(rates, session.true_rates, rtol=1e-6)
    with pytest.raises(InputError, match="made sessions only"):
        truth_of(dataclasses.replace(session, info={}))


def test_rates_average_to_the_gamma_distributed_base_rates(session, truth):
    rates_hz = session.true_rates.mean(0) / session.bin_size_s
    np.testing.assert_allclose(rates_hz, truth.base_rate_hz, rtol=1e-4)
    pooled = np.concatenate([make_truth(SMALL, seed, 0).base_rate_hz for seed in range(20)])
    assert pooled.mean() == pytest.approx(4.0, rel=0.08)
    assert pooled.var() == pytest.approx(4.0**2 / SMALL.rate_shape, rel=0.2)


def test_counts_are_poisson_given_the_true_rates(session):
    rates = session.true_rates.astype(np.float64)
    residual = session.counts - rates
    assert residual.mean() == pytest.approx(0, abs=4 * np.sqrt(rates.mean() / rates.size))
    for low, high in [(0.02, 0.05), (0.1, 0.2), (0.5, 1.0)]:
        chosen = (rates > low) & (rates < high)
        assert (residual[chosen] ** 2).mean() / rates[chosen].mean() == pytest.approx(1, abs=0.03)
    silent = (session.counts == 0).mean()
    assert silent == pytest.approx(np.exp(-rates).mean(), abs=0.002)


def test_log_rates_vary_as_much_as_the_spec_says(session, truth):
    spread = truth.log_rates().std((0, 1))
    spec = truth.spec
    expected = np.hypot(spec.shared_std, spec.region_std) * np.exp(spec.gain_spread**2 / 2)
    assert spread.mean() == pytest.approx(expected, rel=0.08)


def correlation_within_and_between(region: np.ndarray, log_rates: np.ndarray) -> tuple[float, float]:
    """Mean squared correlation of pairs of units of one region and of two, log_rates [..., N]."""
    squared = np.corrcoef(log_rates.reshape(-1, len(region)).T) ** 2
    same = region[:, None] == region
    return squared[same & ~np.eye(len(same), dtype=bool)].mean(), squared[~same].mean()


def test_units_of_a_region_share_what_others_do_not(truth):
    shared = slice(0, truth.num_shared)
    own_part = truth.log_rates() - truth.latents[..., shared] @ truth.loadings[:, shared].T
    within, between = correlation_within_and_between(truth.region, own_part)
    assert within > 0.4
    assert between < 0.05


@pytest.mark.parametrize(("region_std", "raised"), [(1.0, True), (0.0, False)])
def test_region_latents_raise_the_correlation_within_regions(region_std, raised):
    spec = dataclasses.replace(SMALL, shared_std=1.0, region_std=region_std)
    pairs = []
    for seed in range(8):
        truth = make_truth(spec, seed, 0)
        pairs.append(correlation_within_and_between(truth.region, truth.log_rates()))
    within, between = np.mean(pairs, 0)
    assert (within > 1.3 * between) == raised


def test_a_restricted_truth_gives_the_rates_of_its_region(truth):
    np.testing.assert_allclose(
        truth.restricted_to("CA1").log_rates(), truth.log_rates()[..., truth.region == "CA1"], atol=1e-12
    )


def test_choice_follows_the_stimulus_and_shows_in_the_rates(session):
    stimulus, choice = session.conditions["stimulus"], session.conditions["choice"]
    assert set(choice) == {-1.0, 1.0}
    strong, weak = np.abs(stimulus) == 1, np.abs(stimulus) == 0.25
    agrees = np.sign(stimulus) == choice
    assert 0.9 < agrees[strong].mean() <= 1
    assert 0.6 < agrees[weak].mean() < 0.95

    rates = session.true_rates.reshape(session.num_trials, -1, session.num_units)
    early, late = np.log(rates[:, :10].mean(1)), np.log(rates[:, -10:].mean(1))

    def held_out_accuracy(features: np.ndarray) -> float:
        """Nearest class mean, fitted on the train split."""
        train = session.split == TRAIN
        means = [features[train & (choice == side)].mean(0) for side in (-1, 1)]
        distance = [((features[~train] - mean) ** 2).sum(1) for mean in means]
        return ((distance[1] < distance[0]) == (choice[~train] == 1)).mean()

    assert held_out_accuracy(early) > 0.9
    assert held_out_accuracy(late) < held_out_accuracy(early)  # the dynamics forget where they started


def test_wheel_speed_reads_the_shared_latents(session, truth):
    latents = truth.latents[..., : truth.num_shared].reshape(-1, truth.num_shared)
    wheel = session.behaviour["wheel_speed"][:, 0]
    weights, residual, *_ = np.linalg.lstsq(latents, wheel, rcond=None)
    np.testing.assert_allclose(weights, truth.wheel_weights, atol=0.02)
    assert np.sqrt(residual[0] / len(wheel)) == pytest.approx(truth.spec.wheel_noise_std, rel=0.03)


@pytest.mark.parametrize("dynamics", ["lorenz", "switching"])
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_part_of_the_dynamics_is_the_animals_own(share, dynamics):
    spec = dataclasses.replace(SMALL, dynamics=dynamics, common_share=share)
    truth, other, whole = (
        make_truth(spec, 0, 0),
        make_truth(spec, 0, 1),
        make_truth(dataclasses.replace(spec, common_share=1.0), 0, 0),
    )
    num_common = spec.system.num_dims
    common, own = slice(0, num_common), slice(num_common, 2 * num_common)
    # the same animal at every share: units, and what the common system does
    np.testing.assert_array_equal(truth.base_rate_hz, whole.base_rate_hz)
    np.testing.assert_array_equal(truth.region, whole.region)
    np.testing.assert_array_equal(truth.latents[..., common], whole.latents[..., common])
    spread = {
        name: (truth.latents[..., dims] @ truth.loadings[:, dims].T).var((0, 1)).mean()
        for name, dims in (("common", common), ("own", own))
    }
    assert spread["common"] / sum(spread.values()) == pytest.approx(share, abs=1e-9)
    wholly = whole.latents[..., common] @ whole.loadings[:, common].T
    assert sum(spread.values()) == pytest.approx(wholly.var((0, 1)).mean(), rel=1e-6)
    assert not np.allclose(truth.region_transition, other.region_transition)
    assert not np.allclose(truth.latents[:20, :, own], other.latents[:20, :, own])
    # bent and z-scored
    np.testing.assert_allclose(truth.latents[..., own].mean((0, 1)), 0, atol=1e-9)
    # no linear map of the animal's own latents is the common system
    flat = truth.latents.reshape(-1, truth.latents.shape[-1])
    _, left, *_ = np.linalg.lstsq(flat[:, own], flat[:, common], rcond=None)
    assert (left / len(flat)).min() > 0.1


def test_an_animal_with_dynamics_of_its_own_is_found_again_and_its_wheel_follows_both_parts():
    spec = dataclasses.replace(SMALL, common_share=0.5, wheel_noise_std=0.0)
    session = make_session(spec, 0, 1)
    truth = truth_of(dataclasses.replace(session, info=json.loads(json.dumps(session.info))))
    rates = np.exp(truth.log_rates()).reshape(session.true_rates.shape)
    np.testing.assert_allclose(rates, session.true_rates, rtol=1e-6)
    latents = truth.latents[..., : truth.num_shared].reshape(-1, truth.num_shared)
    weights, *_ = np.linalg.lstsq(latents, session.behaviour["wheel_speed"][:, 0], rcond=None)
    np.testing.assert_allclose(np.linalg.norm(weights.reshape(2, -1), axis=1), np.sqrt(0.5), rtol=1e-4)


def test_a_bent_system_is_no_linear_map_of_the_one_it_was():
    rng = np.random.default_rng(0)
    states = rng.standard_normal((50, 40, 3))
    bent = latent_dynamics.bent(states, rng)
    np.testing.assert_allclose(bent.std((0, 1)), 1, rtol=1e-9)
    flat = np.column_stack([states.reshape(-1, 3), np.ones(2000)])
    _, left, *_ = np.linalg.lstsq(flat, bent.reshape(-1, 3), rcond=None)
    assert (left / len(flat)).min() > 0.15


def test_a_system_twice_as_fast_takes_two_steps_at_once():
    spec = SyntheticSpec(dynamics="lorenz")
    start = np.array([[0.5, 0.8, -0.3]])
    twice = spec.system.step(spec.system.step(start))
    np.testing.assert_allclose(spec.system_at(2.0).step(start), twice, atol=5e-3)
    fast, slow = (dataclasses.replace(spec, dynamics="switching").system_at(speed) for speed in (2.0, 1.0))
    np.testing.assert_allclose(fast.turn_rad, 2 * np.asarray(slow.turn_rad))
    assert fast.decay == pytest.approx(slow.decay**2)


@pytest.mark.parametrize(
    "changes",
    [
        dict(dynamics="pendulum"),
        dict(regions=()),
        dict(regions=("CA1", "CA1")),
        dict(min_units=30),
        dict(max_units=100),
        dict(num_trials=2),
        dict(num_bins=1),
        dict(num_sessions=0),
        dict(contrasts=(2.0,)),
        dict(bin_size_s=0.0),
        dict(mean_rate_hz=float("nan")),
        dict(common_share=1.5),
        dict(common_share=float("nan")),
    ],
)
def test_a_spec_that_makes_no_animal_is_refused(changes):
    with pytest.raises(InputError):
        SyntheticSpec(**(dict(min_units=110, max_units=128) | changes))


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="negative"):
        make_sessions(SMALL, -1)


def test_lorenz_states_are_z_scored_and_the_jacobian_is_the_derivative():
    system = latent_dynamics.Lorenz(time_per_bin=0.06, noise_std=0.02)
    rng = np.random.default_rng(0)
    states = system.simulate(rng.standard_normal((40, 3)), 800, rng)[:, 100:]
    np.testing.assert_allclose(states.mean((0, 1)), 0, atol=0.08)
    np.testing.assert_allclose(states.std((0, 1)), 1, atol=0.05)
    here = states[0, 0]
    shift = 1e-3 * rng.standard_normal(3)
    np.testing.assert_allclose(system.step(here + shift) - system.step(here), system.jacobian(here) @ shift, atol=3e-5)


def test_lorenz_steps_match_a_finer_integration():
    coarse = latent_dynamics.Lorenz(0.06, 0.0)
    fine = latent_dynamics.Lorenz(0.001, 0.0)
    start = here = np.array([0.5, 0.8, -0.3])
    for _ in range(60):
        here = fine.step(here)
    np.testing.assert_allclose(coarse.step(start), here, atol=2e-3)


def test_switching_rotation_turns_both_ways_and_keeps_its_size():
    system = synthetic.SyntheticSpec(dynamics="switching").system
    rng = np.random.default_rng(0)
    states = system.simulate(rng.standard_normal((200, 2)), 400, rng)
    np.testing.assert_allclose(states.std((0, 1)), 1, atol=0.1)
    ahead, here = states[:, 1:], states[:, :-1]
    turn = np.angle((ahead[..., 0] + 1j * ahead[..., 1]) / (here[..., 0] + 1j * here[..., 1]))
    large = np.hypot(here[..., 0], here[..., 1]) > 1.5
    forth = np.where(large, turn > 0.1, False).sum(1) / np.maximum(large.sum(1), 1)
    assert ((forth > 0.2) & (forth < 0.8)).mean() > 0.9  # both ways within a trial of 8 s
    assert (turn[large] > 0.1).mean() > 0.25
    assert (turn[large] < -0.1).mean() > 0.25
