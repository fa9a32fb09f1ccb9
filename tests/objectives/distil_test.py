"""Distillation: the loss is the mixture it is said to be, and answers count for their own question alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads
from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs
from neurojax.objectives import distil, mtm
from neurojax.objectives.interface import is_stored, stored_query
from neurojax.schemes import CAUSAL, NEURON
from tests.configs_for_tests import mtm_config

G, B, T, N = 1, 40, 6, 8
POISSON = heads.named("poisson")


def config_of(teacher_share, free_share=0.0, **changes):
    plain = dataclasses.asdict(mtm_config(**changes))
    return distil.Config(**plain, teacher_share=teacher_share, free_share=free_share)


@pytest.fixture
def batch():
    """Trials in turn asked for the first two units, of which the second has no answer, and for the last bin."""
    rng = np.random.default_rng(0)
    is_causal = np.arange(B) % 2 == 1
    hidden_units = np.zeros((G, B, N), bool)
    hidden_units[:, ~is_causal, :2] = True
    hidden_bins = np.zeros((G, B, T), bool)
    hidden_bins[:, is_causal, -1] = True
    asked = np.where(is_causal[:, None], np.ones(N, bool), np.arange(N) < 2)[None]
    answered = (hidden_units[:, :, None] | hidden_bins[..., None]) & (np.arange(N) != 1)
    trials = {
        "counts": rng.poisson(1.0, (G, B, T, N)).astype(np.uint8),
        "bin_valid": np.ones((G, B, T), bool),
        "trial_id": np.zeros((G, B), np.int32),
        "hidden_units": hidden_units,
        "hidden_bins": hidden_bins,
        "asked_units": asked,
        "scheme": np.where(is_causal, CAUSAL, NEURON)[None].astype(np.int32),
        "answer": np.where(answered, rng.standard_normal((G, B, T, N)), 0).astype(np.float32),
        "answered": answered,
    }
    groups = {
        "unit_valid": np.ones((G, N), bool),
        "region_id": np.zeros((G, N), np.int32),
        "unit_row": np.arange(N, dtype=np.int32)[None],
        "session_row": np.zeros(G, np.int32),
    }
    return Batch(*jax.tree.map(jnp.asarray, (trials, groups)))


NATURAL = jnp.asarray(np.random.default_rng(1).standard_normal((G, B, T, N)), jnp.float32)


draw, mtm_draw = (jax.jit(module.draw, static_argnames="config") for module in (distil, mtm))
stored = jax.jit(is_stored)


@functools.partial(jax.jit, static_argnames="config")
def loss_of(batch, query, config):
    def apply(weights, inputs, *, key):
        return Outputs(NATURAL, None)

    return distil.loss(apply, POISSON, None, batch, query, 0, None, config)


def test_without_free_trials_the_stored_questions_are_asked(batch):
    query = draw(jax.random.key(0), batch, 0, config_of(0.5))
    trials = batch.trials
    np.testing.assert_array_equal(query.hidden_units, trials["hidden_units"])
    np.testing.assert_array_equal(query.hidden_bins, trials["hidden_bins"])
    target = query.target()
    np.testing.assert_array_equal(target[0, 0], np.ones((T, 1), bool) & (np.arange(N) < 2))
    np.testing.assert_array_equal(target[0, 1], (np.arange(T) == T - 1)[:, None] & np.ones(N, bool))
    assert stored(query, batch).all()


def test_the_share_of_free_trials_is_masked_as_by_mtm(batch):
    config, key = config_of(0.5, free_share=0.5), jax.random.key(3)
    query = draw(key, batch, 0, config)
    drawn, of_batch = mtm_draw(key, batch, 0, config), stored_query(batch)
    kept = np.asarray(stored(query, batch))[0]
    assert 8 < kept.sum() < 32
    for ours, free, fixed in zip(query, drawn, of_batch, strict=True):
        if ours is not None:
            np.testing.assert_array_equal(ours[0, ~kept], free[0, ~kept])
            np.testing.assert_array_equal(ours[0, kept], fixed[0, kept])


@pytest.mark.parametrize("teacher_share", [0.0, 0.3, 1.0])
def test_the_loss_is_the_mixture_of_likelihood_and_divergence_up_to_a_constant(batch, teacher_share):
    query = stored_query(batch)
    found = loss_of(batch, query, config_of(teacher_share, reduction="sum", size_power=0.0))
    z, y = np.asarray(NATURAL, float), np.asarray(batch.trials["counts"], float)
    rate, answered = np.exp(np.asarray(batch.trials["answer"], float)), np.asarray(batch.trials["answered"])
    asked = np.asarray(query.target())
    nll = np.exp(z) - y * z
    divergence = np.exp(z) - rate + rate * (np.log(rate) - z)  # KL of two Poisson distributions, nats
    constant = (rate * np.log(rate) - rate)[answered].sum()
    share = np.where(answered, teacher_share, 0.0)
    expected = ((1 - share) * nll + share * divergence)[asked].sum() - teacher_share * constant
    np.testing.assert_allclose(found.numerator, expected, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["nll_sum"], nll[asked].sum(), rtol=1e-5)
    assert found.metrics["entries"] == asked.sum()


def test_an_answer_to_another_question_is_not_learned(batch):
    query = stored_query(batch)
    other = query._replace(hidden_units=query.hidden_units.at[..., 5].set(True))
    assert not stored(other, batch).any()
    plain, mixed = (loss_of(batch, other, config_of(share)) for share in (0.0, 1.0))
    assert plain.numerator == mixed.numerator
    assert loss_of(batch, query, config_of(0.0)).numerator != loss_of(batch, query, config_of(1.0)).numerator


def test_shares_out_of_range_are_refused():
    with pytest.raises(InputError, match="objective.teacher_share=1.5"):
        config_of(1.5)
    with pytest.raises(InputError, match="objective.free_share=-1"):
        config_of(0.5, free_share=-1.0)
