"""Ceilings on synthetic sessions: what they reach, and that the smoother sees visible spikes only."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.synthetic import animals as synthetic
from neurojax.data.synthetic.animals import SyntheticSpec
from neurojax.errors import InputError
from neurojax.evals import latent_smoother, oracle, protocols

SPEC = SyntheticSpec(num_sessions=1, min_units=84, max_units=90, min_region_units=24, num_trials=60, num_bins=40)


@pytest.fixture(scope="module")
def session():
    return synthetic.make_session(SPEC, 1, 0)


@pytest.fixture(scope="module")
def counts(session):
    return session.gather_trials(session.trials_of(TEST))[0]


@pytest.fixture(scope="module")
def smoothed(session):
    return oracle.known_dynamics_smoother(session, num_groups=6)


def pooled_bits_per_spike(counts: np.ndarray, rates: np.ndarray) -> float:
    """Pooled over units, against each unit's mean over the evaluated entries; written out for the test."""
    gained, spikes = 0.0, 0.0
    for unit in range(counts.shape[-1]):
        evaluated = np.isfinite(rates[..., unit])
        y, r = counts[..., unit][evaluated].astype(np.float64), rates[..., unit][evaluated].astype(np.float64)
        if y.sum() == 0:
            continue
        null = y.mean()
        gained += (null - y * np.log(null)).sum() - (r - y * np.log(r)).sum()
        spikes += y.sum()
    return gained / np.log(2) / spikes


@pytest.mark.parametrize("task", protocols.TASKS)
def test_the_oracle_beats_the_mean_and_rates_of_other_times(session, counts, task):
    rates = oracle.oracle_predictions(session)[task]
    scored = protocols.scored_entries(session, task, session.trials_of(TEST))
    np.testing.assert_array_equal(np.isfinite(rates), scored)
    reached = pooled_bits_per_spike(counts, rates)
    assert reached > 0.3
    shuffled = np.random.default_rng(0).permutation(rates, axis=0)  # other trials
    assert pooled_bits_per_spike(counts, shuffled) < 0.2 * reached


def test_the_oracle_reads_the_rates_of_the_test_trials(session):
    trial = session.trials_of(TEST)[3]
    start = session.trial_start_bin[trial]
    rates = oracle.oracle_predictions(session)["co_smoothing"][3]
    expected = session.true_rates[start : start + 40]
    scored = np.isfinite(rates)
    np.testing.assert_array_equal(rates[scored], expected[scored])


@pytest.mark.parametrize("task", protocols.TASKS)
def test_the_smoother_lies_between_null_and_oracle(session, counts, smoothed, task):
    ceiling = pooled_bits_per_spike(counts, oracle.oracle_predictions(session)[task])
    reached = pooled_bits_per_spike(counts, smoothed[task])
    scored = protocols.scored_entries(session, task, session.trials_of(TEST))
    np.testing.assert_array_equal(np.isfinite(smoothed[task]), scored)
    assert (0.15 if task == "forward" else 0.5) * ceiling < reached < ceiling


def test_co_smoothing_sees_most_and_comes_nearest_to_the_oracle(session, counts, smoothed):
    ceilings = oracle.oracle_predictions(session)
    share = {
        task: pooled_bits_per_spike(counts, smoothed[task]) / pooled_bits_per_spike(counts, ceilings[task])
        for task in protocols.TASKS
    }
    assert max(share, key=share.get) == "co_smoothing"
    assert share["inter_region"] < share["co_smoothing"] - 0.03  # the hidden region's own latents are not seen


def test_smoothing_with_everything_visible_recovers_rates_and_latents(session, counts):
    truth = synthetic.truth_of(session)
    rates = latent_smoother.smooth_visible(truth, counts, np.ones(counts.shape, bool))
    true_rates = np.exp(truth.log_rates()[session.trials_of(TEST)])
    ceiling = pooled_bits_per_spike(counts, true_rates)
    assert 0.8 * ceiling < pooled_bits_per_spike(counts, rates) < 1.1 * ceiling
    log_ratio = np.log(rates / true_rates)
    assert log_ratio.std() < 0.5 * np.log(true_rates).std()


def cases(session, task, num_groups):
    last = protocols.forward_bins(session, session.trials_of(TEST))[0]
    never_shown = np.zeros(session.num_units, bool)
    kind = protocols.MTM.tasks[task].hides
    return oracle._cases(synthetic.truth_of(session), kind, num_groups, np.random.default_rng(0), never_shown, last)


@pytest.mark.parametrize("task", protocols.TASKS)
def test_hidden_counts_are_never_read(session, counts, task):
    rng = np.random.default_rng(0)
    for part, units, hidden in cases(session, task, 4):
        seen = counts[:3, :, units]
        hidden = np.broadcast_to(hidden[-1], seen.shape)
        altered = np.where(hidden, rng.integers(0, 50, seen.shape), seen)
        assert hidden.any() and not np.array_equal(altered, seen)
        before = latent_smoother.smooth_visible(part, seen, ~hidden)
        np.testing.assert_array_equal(before, latent_smoother.smooth_visible(part, altered, ~hidden))
        shown = np.where(~hidden, seen + 1, seen)
        assert not np.allclose(before, latent_smoother.smooth_visible(part, shown, ~hidden))


def test_cases_hide_every_unit_once_and_intra_region_sees_its_region_alone(session):
    truth = synthetic.truth_of(session)
    ((_, units, hidden),) = cases(session, "co_smoothing", 7)
    np.testing.assert_array_equal(hidden.sum((0, 1)), np.ones(len(units)))
    ((_, units, hidden),) = cases(session, "inter_region", 7)
    for case in hidden[:, 0]:
        assert len(set(truth.region[case])) == 1 and not set(truth.region[case]) & set(truth.region[~case])
    covered = np.concatenate([units for _, units, _ in cases(session, "intra_region", 7)])
    np.testing.assert_array_equal(np.sort(covered), np.arange(session.num_units))
    for _, units, _ in cases(session, "intra_region", 7):
        assert len(set(truth.region[units])) == 1
    ((_, _, hidden),) = cases(session, "forward", 7)
    np.testing.assert_array_equal(np.flatnonzero(hidden[0, :, 0]), [36, 37, 38, 39])


def test_max_trials_predicts_the_first_trials_alike(session, smoothed):
    few = oracle.known_dynamics_smoother(session, tasks=("inter_region",), max_trials=2)["inter_region"]
    np.testing.assert_allclose(few[:2], smoothed["inter_region"][:2], rtol=1e-5)
    assert np.isnan(few[2:]).all()


@pytest.mark.parametrize("sign", [1, -1])  # without curvature there is no band to factorise
def test_block_elimination_matches_a_dense_solve(sign):
    rng = np.random.default_rng(0)
    num_bins, size = 4, 3
    lower = rng.standard_normal((1, num_bins - 1, size, size))
    diagonal = np.tile(sign * 12.0 * np.eye(size), (1, num_bins, 1, 1))
    right = rng.standard_normal((1, num_bins, size))
    dense = np.zeros((num_bins * size, num_bins * size))
    for t in range(num_bins):
        here = slice(t * size, (t + 1) * size)
        dense[here, here] = diagonal[0, t]
        if t:
            before = slice((t - 1) * size, t * size)
            dense[here, before], dense[before, here] = lower[0, t - 1], lower[0, t - 1].T
    expected = np.linalg.solve(dense, right.reshape(-1)).reshape(right.shape)
    np.testing.assert_allclose(latent_smoother._solve_tridiagonal(diagonal, lower, right), expected, atol=1e-12)


def test_trajectories_are_solved_apart():
    rng = np.random.default_rng(1)
    right, lower = rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 4, 2, 2))
    diagonal = np.broadcast_to(8.0 * np.eye(2) + 1.0, (3, 5, 2, 2))
    together = latent_smoother._solve_tridiagonal(diagonal, lower, right)
    for own in (slice(number, number + 1) for number in range(3)):
        alone = latent_smoother._solve_tridiagonal(diagonal[own], lower[own], right[own])
        np.testing.assert_array_equal(together[own], alone)
    right[0, 2] = np.nan
    spoilt = latent_smoother._solve_tridiagonal(diagonal, lower, right)
    np.testing.assert_allclose(spoilt[1:], together[1:], rtol=1e-10)


def test_the_hessian_holds_the_whole_product_of_jacobians(session):
    truth = synthetic.truth_of(session)
    precision = np.linspace(1.0, 2.0, len(truth.start_mean))
    jacobians = latent_smoother._true_jacobians(truth, truth.latents[:2, :-1])
    given = (truth, None, None, None, precision, truth.num_shared)
    found = latent_smoother._Posterior(*given)._squares(jacobians)
    np.testing.assert_allclose(found, np.einsum("btki,k,btkj->btij", jacobians, precision, jacobians), atol=1e-12)


def test_the_gradient_is_that_of_the_log_density(session, counts):
    truth = synthetic.truth_of(session)
    noise_std = np.full(len(truth.start_mean), 0.3)
    visible = np.ones(counts[:1].shape, bool)
    spikes = latent_smoother._Spikes.of(truth, counts[:1], visible, np.float64)
    posterior = latent_smoother._Posterior(
        truth,
        spikes,
        lambda states: latent_smoother._true_mean(truth, states),
        lambda states: latent_smoother._true_jacobians(truth, states),
        noise_std**-2,
        truth.num_shared,
    )
    states = truth.latents[session.trials_of(TEST)[:1]]
    gradient = posterior.quadratic(spikes.seen_from(states), posterior.dynamics(states[:, :-1]))[2]
    direction = np.random.default_rng(0).standard_normal(states.shape)
    moved = [states + step * direction for step in (1e-5, -1e-5)]
    ahead, behind = (posterior.value(spikes.seen_from(at), posterior.dynamics(at[:, :-1])) for at in moved)
    assert (gradient * direction).sum() == pytest.approx(float((ahead - behind)[0]) / 2e-5, rel=1e-5)


def test_sessions_without_their_truth_are_refused(session):
    with pytest.raises(InputError, match="no true rates"):
        oracle.oracle_predictions(dataclasses.replace(session, true_rates=None))
    with pytest.raises(InputError, match="made sessions only"):
        oracle.known_dynamics_smoother(dataclasses.replace(session, info={}))
    with pytest.raises(InputError, match="lorenz"):
        switching = dataclasses.replace(SPEC, dynamics="switching", num_trials=10)
        oracle.known_dynamics_smoother(synthetic.make_session(switching, 0, 0))
    with pytest.raises(InputError, match="common_share"):
        own = dataclasses.replace(SPEC, common_share=0.5, num_trials=10)
        oracle.known_dynamics_smoother(synthetic.make_session(own, 0, 0))
    with pytest.raises(InputError, match="as made"):
        oracle.known_dynamics_smoother(session, synthetic.make_truth(SPEC, 0, 5))
