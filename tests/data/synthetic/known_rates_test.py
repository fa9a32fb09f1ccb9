"""Populations with known rates: counts follow them, conditions share them, banks hold every case, inputs are summed."""

import functools

import numpy as np
import pytest

from neurojax.data.synthetic import known_rates, rate_networks
from neurojax.errors import InputError

SMALL = 0.05  # of each kind's conditions


@functools.cache
def made(kind: str, noise: str = "low", seed: int = 0):
    return known_rates.make_session(known_rates.KnownRatesSpec(kind, noise, SMALL), seed)


def by_trial(session, array):
    return np.asarray(array).reshape(session.num_trials, -1, array.shape[-1])


@pytest.mark.parametrize("kind", known_rates.KINDS)
def test_counts_follow_the_rates_that_are_kept(kind):
    session = made(kind)
    expected = session.true_rates.sum(0, dtype=np.float64)
    apart = (session.counts.sum(0) - expected) / np.sqrt(expected)
    assert np.abs(apart).max() < 4.5 and apart.std() < 1.5
    again = known_rates.make_session(known_rates.KnownRatesSpec(kind, "low", SMALL))
    np.testing.assert_array_equal(again.counts, session.counts)
    assert not np.array_equal(made(kind, seed=1).true_rates[:100], session.true_rates[:100])


@pytest.mark.parametrize("noise", ["medium", "high"])
def test_noise_lowers_all_rates_alike(noise):
    ratio = made("chaotic", noise).true_rates / made("chaotic").true_rates
    np.testing.assert_allclose(ratio, known_rates.NOISES[noise], rtol=1e-4)


@pytest.mark.parametrize("kind", ["lorenz", "chaotic"])
def test_trials_of_a_condition_share_their_rates_and_nothing_drives_them(kind):
    session = made(kind)
    rates, condition = by_trial(session, session.true_rates), session.conditions["condition"]
    of_first = rates[condition == 0]
    np.testing.assert_array_equal(of_first, np.broadcast_to(of_first[:1], of_first.shape))
    assert np.abs(of_first[0] - rates[condition == 1][0]).max() > 0.1 * rates.std()
    assert not session.behaviour["input"].any()


def test_a_kick_changes_what_comes_after_it_and_nothing_before():
    session = made("pulses")
    rates, kicks = by_trial(session, session.true_rates), by_trial(session, session.behaviour["input"])[..., 0]
    bins = kicks.argmax(1)
    assert (kicks.sum(1) == 1).all() and bins.min() >= 12 and bins.max() < 38
    first, second = np.flatnonzero(session.conditions["condition"] == 0)[np.argsort(bins[:10])[[0, -1]]]
    early = bins[first]
    assert early < bins[second]
    np.testing.assert_array_equal(rates[first, :early], rates[second, :early])
    assert np.abs(rates[first, early] - rates[second, early]).max() > 0.2 * rates.std()


@pytest.mark.parametrize("kind", ["lorenz", "pulses"])
def test_the_bank_holds_the_rates_of_every_trial(kind):
    session = made(kind)
    cases = known_rates.bank(known_rates.KnownRatesSpec(kind, "low", SMALL))
    case = session.conditions["condition"].astype(int)
    if kind == "pulses":
        kicked = by_trial(session, session.behaviour["input"])[..., 0].argmax(1)
        case = case * 26 + kicked - 12
    np.testing.assert_allclose(cases[case], by_trial(session, session.true_rates), rtol=1e-4, atol=1e-6)


def test_the_integrator_sums_inputs_it_was_not_fitted_to():
    network = rate_networks.integrator(np.random.default_rng(0))
    inputs = rate_networks.noisy_inputs(100, 25, np.random.default_rng(1))
    total = np.cumsum(inputs, axis=1)
    assert np.square(network.summed(inputs) - total).sum() < 0.05 * np.square(total).sum()
    session, spec = made("integrator"), known_rates.KnownRatesSpec("integrator", "low", SMALL)
    given = by_trial(session, session.behaviour["input"])[..., 0]
    rates = known_rates.integrated_rates(spec, given)
    np.testing.assert_allclose(rates, by_trial(session, session.true_rates), rtol=1e-3, atol=1e-4)


def test_unknown_kinds_noises_and_banks_are_refused():
    for fields in ({"kind": "henon"}, {"noise": "loud"}, {"share_of_trials": 0.0}):
        with pytest.raises(InputError, match="choose from|expected a share"):
            known_rates.KnownRatesSpec(**fields)
    with pytest.raises(InputError, match="no list of cases"):
        known_rates.bank(known_rates.KnownRatesSpec("integrator"))
