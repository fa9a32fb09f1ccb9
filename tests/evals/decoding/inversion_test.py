"""An encoder turned round by Bayes' rule as a read-out of `neurojax decode`."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

import neurojax as nj
from neurojax.errors import InputError
from neurojax.evals.decoding import decoder, folds, inversion, targets

GRID = np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2) * 10.0


@pytest.fixture(scope="module")
def session():
    """Fields of 24 units over 5 x 5 positions, 30 trials of 20 bins; the last third is tested."""
    rng = np.random.default_rng(0)
    place = rng.integers(25, size=600)
    centre = rng.uniform(0, 40, (24, 2))
    rates = 0.2 + 3 * np.exp(-np.square(GRID[:, None] - centre).sum(-1) / (2 * 9.0**2))
    behaviour = {"position_deg": GRID[place].astype(np.float32)}
    return nj.Session.from_counts(
        rng.poisson(rates[place]),
        bin_size_s=0.25,
        session_id="mapped",
        trial_offsets=np.arange(0, 601, 20),
        split=np.repeat([0, 2], [20, 10]),
        behaviour=behaviour,
        conditions={"side": (GRID[place.reshape(30, 20)[:, 0], 0] > 15).astype(int)},
    )


def decoded(session, target, names):
    read_outs = decoder.baselines(session, target, names, 0)
    outer = folds.split_fold(session, target)
    result = decoder.decode(session, target, read_outs, outer, np.ones(30, bool), seed=0, num_permutations=0)
    return decoder.record(result, 0)[0]


def test_fields_are_turned_round_better_than_a_line_through_counts(session):
    found = decoded(session, targets.read_target(session, "position_deg"), ("bayes", "raw"))
    assert found["bayes"]["r2"] > max(0.75, found["raw"]["r2"] + 0.05), found["raw"]["r2"]
    chosen = np.atleast_2d(found["bayes"]["chosen"][0]["width_and_tempering"])
    assert (chosen[:, 1] >= 0.5).all()  # units are independent here: the product is as sure as it says


def test_the_posterior_of_classes_is_the_product_of_poisson_probabilities(session):
    target = targets.read_target(session, "side")
    read_out = decoder.baselines(session, target, ("bayes",), 0)["bayes"]
    fitting, asked = folds.split_fold(session, target)[0]
    found = read_out.fit(target, fitting, asked)[read_out.settings.index((0.0, 1.0))]
    counts = session.gather_trials(target.trial_ids)[0].sum(1)
    mean = counts[fitting].sum(0) / (20 * len(fitting))
    logs = []
    for code in (0, 1):
        own = fitting[target.values[fitting] == code]
        rates = (counts[own].sum(0) + mean) / (20 * len(own) + 1) * 20
        logs.append(stats.poisson.logpmf(counts[asked], rates).sum(1) + np.log(len(own) / len(fitting)))
    wanted = np.stack(logs, 1)
    wanted -= np.logaddexp(*wanted.T)[:, None]
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_asked_trials_and_units_that_were_not_observed_say_nothing(session):
    target = targets.read_target(session, "position_deg")
    ((fitting, asked),) = folds.split_fold(session, target)
    raw = decoder.features.spikes(session, target.trial_ids)
    first = inversion.read_out(raw, target).fit(target, fitting, asked)
    values = target.values.copy()
    values[asked] = 40 - values[asked]
    other = inversion.read_out(raw, target).fit(dataclasses.replace(target, values=values), fitting, asked)
    np.testing.assert_array_equal(first, other)
    observed = np.ones(raw.signals.shape, bool)
    observed[..., 0] = False
    signals = raw.signals.copy()
    signals[..., 0] = 7.0
    hidden = dataclasses.replace(raw, signals=signals, observed=observed)
    without = dataclasses.replace(raw, signals=raw.signals[..., 1:])
    fits = [inversion.read_out(part, target).fit(target, fitting, asked) for part in (hidden, without)]
    np.testing.assert_allclose(*fits, atol=1e-6)


def test_a_signal_with_too_many_values_is_refused_before_anything_is_fitted(session):
    target = targets.read_target(session, "position_deg")
    rng = np.random.default_rng(0)
    many = dataclasses.replace(target, values=rng.standard_normal(target.values.shape))
    with pytest.raises(InputError, match="turns an encoder round over the values of the target, and it has 600"):
        inversion.require_candidates(many, "session mapped, target 'speed'")
