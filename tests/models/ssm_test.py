"""Diagonal state spaces: the recurrence bin by bin, both ways, and what bins past a trial's end drive."""

import dataclasses

import jax
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.models import ssm
from neurojax.schemes import CAUSAL, NEURON
from tests import configs_for_tests
from tests.models.ndt_test import T

B, S = 2, 3
RNG = np.random.default_rng(0)


def in_turn(drive, factors):
    """States [B, T, S] one bin after another, in complex128."""
    state, found = np.zeros((B, S), complex), []
    for of_bin in np.moveaxis(drive, 1, 0):
        state = factors * state + np.sqrt(1 - np.abs(factors) ** 2) * of_bin
        found.append(state)
    return np.stack(found, axis=1)


def test_states_are_those_of_the_recurrence_from_either_end():
    drive = RNG.standard_normal((B, 13, S)) + 1j * RNG.standard_normal((B, 13, S))
    logs = -np.array([2.0, 0.1, 1e-6]) + 1j * np.array([0.0, 0.7, 2.0])  # the last one forgets nothing
    given = (drive.astype(np.complex64), logs.astype(np.complex64))
    found = jax.jit(ssm.recurrence, static_argnames="backwards")
    ahead, back = found(*given), found(*given, backwards=True)
    np.testing.assert_allclose(ahead, in_turn(drive, np.exp(logs)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(back, in_turn(drive[:, ::-1], np.exp(logs))[:, ::-1], rtol=1e-3, atol=1e-5)


def test_a_short_trial_is_read_as_if_nothing_came_after_it():
    config = configs_for_tests.tokens_config("ssm", width=8, mlp_width=8, num_layers=1, state_width=S, read_in_width=4)
    module, short = ssm.StateSpaces(config), T - 2
    latents = RNG.standard_normal((B, T, 4)).astype(np.float32)
    flags, scheme = np.zeros((B, T), bool), np.array([NEURON, CAUSAL])
    beside = (np.ones((B, 8), np.float32), scheme)
    params = jax.jit(module.init)(jax.random.key(0), latents, *beside, flags, ~flags)
    found = jax.jit(lambda z, hidden, valid: module.apply(params, z, *beside, hidden, valid))
    valid = np.broadcast_to(np.arange(T) < short, flags.shape)
    alone = found(latents[:, :short], flags[:, :short], ~flags[:, :short])
    np.testing.assert_allclose(found(latents, flags, valid)[:, :short], alone, atol=1e-5)
    whole = found(latents, flags, ~flags)
    moved = np.abs(whole[:, :short] - alone).max((1, 2))
    assert moved[0] > 1e-3 > 1e-5 > moved[1]  # a causal trial does not know what follows


def test_settings_out_of_range_are_refused():
    config = configs_for_tests.tokens_config("ssm")
    with pytest.raises(InputError, match="model.state_width=0"):
        dataclasses.replace(config, state_width=0)
    with pytest.raises(InputError, match="model.remat=.*dots"):
        dataclasses.replace(config, remat="dots")
