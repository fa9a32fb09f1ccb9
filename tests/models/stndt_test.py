"""STNDT: what mixing of units adds, of whom it is made, and that it begins at nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.models import ndt_linear, stndt
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.schemes import CAUSAL, NEURON
from neurojax.train import state
from tests import configs_for_tests
from tests.configs_for_tests import mtm_config
from tests.models.ndt_test import FACTS, B, G, N, T, make_batch, nothing_hidden, query_for

CONFIG = configs_for_tests.tokens_config(
    "stndt", read_in_width=6, width=8, num_heads=2, num_layers=1, mlp_width=8, posterior_noise=0.5
)


@pytest.fixture(scope="module")
def weights():
    rng, shapes = np.random.default_rng(0), state.abstract_weights(configs_for_tests.model_of(CONFIG), FACTS)
    params, tables = jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)
    return Weights(jax.device_put(params), gather_rows(jax.device_put(tables), stndt.tables(CONFIG), make_batch()))


@pytest.fixture(scope="module")
def answer(weights):
    """(counts, query, params, left_out) -> (log-rates, states, mixing [G, b, N, N])."""

    @jax.jit
    def found(counts, query, params, left_out=None):
        inputs = mtm.inputs(make_batch().with_trials(counts=counts), query, mtm_config())._replace(left_out=left_out)
        given = weights._replace(params=params)
        told = stndt.apply(given, inputs, CONFIG, train=False)
        return told.natural, told.states, stndt.mixing_of(given, inputs, CONFIG, False, None)

    return found


def silenced(params):
    """The same weights, where no unit gives what it hears any size."""
    return params | {"space": params["space"] | {"size": np.zeros_like(params["space"]["size"])}}


def test_what_a_unit_hears_is_what_others_did_and_were_expected_to(weights, answer):
    """Against plain loops over units; without mixing the model is that of `ndt_linear`."""
    batch = make_batch()
    query = query_for(batch, "neuron")
    log_rates, states, mixing = map(np.asarray, answer(batch.trials["counts"], query, weights.params))
    inputs = mtm.inputs(batch, query, mtm_config())
    read = np.asarray(ndt_linear.surprises(weights.rows, inputs, np.float32)[0])
    drive = np.zeros((G, B, T, N))
    for group, trial in np.ndindex(G, B):
        expected = states[group, trial] @ weights.rows["read_out"][group].T  # [T, N]
        for listener, speaker in np.ndindex(N, N):
            said = read[group, trial, :, speaker] + expected[:, speaker]
            drive[group, trial, :, listener] += mixing[group, trial, listener, speaker] * said
    alone = np.asarray(answer(batch.trials["counts"], query, silenced(weights.params))[0])
    plain = {name: value for name, value in weights.params.items() if name != "space"}
    given = (weights._replace(params=plain), inputs, CONFIG)
    of_linear = jax.jit(lambda: ndt_linear.apply(*given, train=False).natural)()
    np.testing.assert_allclose(alone, of_linear, atol=1e-5)
    told = ndt_linear.read_out(weights, jnp.asarray(states), inputs, CONFIG, train=False, key=None, drive=drive)
    np.testing.assert_allclose(log_rates, told.natural, atol=1e-4)
    assert np.abs(log_rates - alone).max() > 0.1


def test_who_listens_to_whom_depends_on_the_trial_but_in_causal_ones(weights, answer):
    batch = make_batch()
    other = np.random.default_rng(8).poisson(2.0, (G, B, T, N)).astype(np.float32)
    for scheme in (NEURON, CAUSAL):
        query = nothing_hidden(scheme)
        one, two = (np.asarray(answer(c, query, weights.params)[2]) for c in (batch.trials["counts"], other))
        assert np.array_equal(one, two) == (scheme == CAUSAL)
        assert np.abs(one[:, 0] - one[:, 1]).max() > 1e-3 or scheme == CAUSAL


def test_a_unit_that_is_left_out_is_told_as_in_the_whole(weights, answer):
    batch = make_batch()
    unit = np.array([[4, 0, 9], [1, 1, 7]])
    hidden = np.arange(N) == unit[..., None]
    query = nothing_hidden(NEURON)._replace(hidden_units=hidden)
    whole = np.asarray(answer(batch.trials["counts"], query, weights.params)[0])
    one = np.asarray(answer(batch.trials["counts"], query, weights.params, unit)[0])
    assert one.shape == (G, B, T, 1)
    np.testing.assert_allclose(one, np.take_along_axis(whole, unit[..., None, None], axis=-1), atol=1e-5)


def test_what_a_unit_did_is_a_mean_over_the_bins_in_which_it_was_seen(weights):
    """Bins past the end and hidden ones count for nothing; a trial of any length has as many numbers."""
    batch = make_batch()
    query = nothing_hidden(NEURON)
    query = query._replace(hidden_bins=np.broadcast_to(np.arange(T) == 2, (G, B, T)))
    short = np.broadcast_to(np.arange(T) < 5, (G, B, T))
    inputs = mtm.inputs(batch, query, mtm_config())._replace(bin_valid=short)
    found = np.asarray(jax.jit(lambda given: stndt.waves_of(weights.rows, given, CONFIG))(inputs))
    read = np.asarray(ndt_linear.surprises(weights.rows, inputs, np.float32)[0])
    seen = [0, 1, 3, 4]
    assert found.shape == (G, B, N, stndt.NUM_WAVES)
    np.testing.assert_allclose(found[..., 0], read[:, :, seen].mean(2), atol=1e-5)
    turn = np.sqrt(2) * np.sin(2 * np.pi * (np.array(seen) + 0.5) / 4.0)
    np.testing.assert_allclose(found[..., 1], (read[:, :, seen] * turn[:, None]).mean(2), atol=1e-5)


def test_layers_out_of_range_are_refused():
    with pytest.raises(InputError, match="model.space_layers=0"):
        dataclasses.replace(CONFIG, space_layers=0)
