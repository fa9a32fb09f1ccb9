"""Models of other tokens learn, in a few steps, what the mean rate of a unit does not know."""

import functools
import types

import jax
import numpy as np
import pytest

from neurojax.train.step import Recipe, train_step
from tests import configs_for_tests
from tests.configs_for_tests import first_state
from tests.models.ndt_test import FACTS, G, N, T, make_batch

TRIALS, STEPS, MEAN = 16, 60, 0.3  # spikes a bin, of every unit: what training starts from
SIZES = dict(read_in_width=6, width=8, num_heads=2, num_layers=1, mlp_width=16, dropout=0.0, dropout_embed=0.0)
CHANGES = {"stndt": {}, "possm": dict(event_share=1.0, state_width=4)}


def batch_of(seed):
    """New trials of two populations, in each of which one slow signal drives half of the units up, the others down."""
    rng = np.random.default_rng(seed)
    signal = np.repeat(rng.standard_normal((G, TRIALS, T // 4, 1)), 4, axis=2)
    drive = 1.2 * signal * np.where(np.arange(N) % 2, 1, -1)
    counts = rng.poisson(MEAN * np.exp(drive - 0.5 * 1.2**2)).astype(np.float32)
    trials = {"counts": counts, "bin_valid": np.ones((G, TRIALS, T), bool), "trial_id": np.zeros((G, TRIALS), np.int32)}
    return make_batch()._replace(trials=trials)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_units_that_are_hidden_are_told_better_than_by_their_mean(name):
    """No trial is seen twice, so that the loss of each step is that of trials which training did not see."""
    model = configs_for_tests.model_of(configs_for_tests.tokens_config(name, **SIZES | CHANGES[name]))
    objective = configs_for_tests.objective_of(configs_for_tests.mtm_config(schemes="neuron"))
    optimizer = configs_for_tests.optimizer_config(learning_rate=2e-2, warmup_share=0.1, row_weight_decay=0.01)
    recipe = Recipe(0, STEPS, model, objective, "poisson", optimizer)
    state, losses = first_state(recipe, types.SimpleNamespace(facts=FACTS)), []
    step = jax.jit(functools.partial(train_step, recipe=recipe), donate_argnums=0)
    for number in range(STEPS):
        state, sums = step(state, batch_of(number))
        losses.append(float(sums["nll_sum"] / sums["entries"]))
    by_mean = np.mean([MEAN - counts_of(number).mean() * np.log(MEAN) for number in range(STEPS - 20, STEPS)])
    assert losses[0] == pytest.approx(MEAN - counts_of(0).mean() * np.log(MEAN), abs=0.05)  # begins at the mean
    assert np.mean(losses[-20:]) < by_mean - 0.04, losses[-20:]  # nats an entry


def counts_of(seed):
    return batch_of(seed).trials["counts"]
