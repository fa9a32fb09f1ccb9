"""Validation asks a model as it was trained, whatever hides the counts."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from neurojax import masking
from neurojax.data.batching import Layout
from neurojax.train import first_rows, loop
from neurojax.train.validation import Validator


@pytest.mark.parametrize(
    "trained, asked_as",
    [
        (("causal", "neuron"), {"neuron": 0, "causal": 1, "intra_region": 1, "inter_region": 1}),
        (("temporal",), {}),  # it has no prompt
    ],
)
def test_each_scheme_is_asked_with_its_own_prompt_or_that_of_the_first_trained(
    trained, asked_as, recipe, dataset, batches
):
    """Of the four prompts each is changed in turn; the scores that move are of the schemes asked with it."""
    dataset = dataclasses.replace(dataset, sessions=dataset.sessions[:1])
    recipe = dataclasses.replace(recipe, masking=masking.MaskingConfig(trained))
    layout, means = Layout.of(dataset.sessions), first_rows.train_means(dataset)
    state = jax.device_get(jax.jit(functools.partial(loop._initial_state, recipe, layout.num_units))(means))
    rng = np.random.default_rng(0)
    read_out = rng.normal(0, 0.3, state.tables["read_out"].shape).astype(np.float32)
    state = state._replace(tables=state.tables | {"read_out": read_out})
    validate = Validator(recipe, batches, layout, dataset, means)
    before, found = validate(state), {}
    assert len(before) == 2 * len(masking.PROMPTS)
    for number in range(len(masking.PROMPTS)):
        prompts = state.params["prompts"].copy()
        prompts[number] += rng.normal(0, 3, prompts.shape[1:])
        after = validate(state._replace(params=state.params | {"prompts": prompts}))
        moved = {name for name in masking.PROMPTS if after[key := f"validation/{name}_bps_pooled"] != before[key]}
        found |= dict.fromkeys(moved, number)
    assert found == asked_as
