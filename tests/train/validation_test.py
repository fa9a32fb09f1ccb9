"""Validation asks a model as it was trained, whatever hides the counts."""

import dataclasses

import jax
import numpy as np
import pytest

from neurojax.data.sources import spikes
from neurojax.schemes import PROMPTS
from neurojax.train.validation import Validator
from tests.configs_for_tests import first_state


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
    source = spikes.open_source(dataset.sessions[:1], batches, recipe.seed)
    config = dataclasses.replace(recipe.objective.config, schemes=trained)
    recipe = dataclasses.replace(recipe, objective=recipe.objective._replace(config=config))
    state = jax.device_get(first_state(recipe, source))
    rng = np.random.default_rng(0)
    read_out = rng.normal(0, 0.3, state.tables["read_out"].shape).astype(np.float32)
    state = state._replace(tables=state.tables | {"read_out": read_out})
    validate = Validator(recipe, source)
    before, found = validate(state), {}
    assert len(before) == 2 * len(PROMPTS)
    for number in range(len(PROMPTS)):
        prompts = state.params["prompts"].copy()
        prompts[number] += rng.normal(0, 3, prompts.shape[1:])
        after = validate(state._replace(params=state.params | {"prompts": prompts}))
        moved = {name for name in PROMPTS if after[key := f"validation/{name}_bps_pooled"] != before[key]}
        found |= dict.fromkeys(moved, number)
    assert found == asked_as


@pytest.mark.parametrize("known", [True, False])
def test_regions_are_asked_about_where_one_is_known(known, recipe, dataset, batches):
    session = dataset.sessions[0]
    labels = session.region if known else np.full(session.num_units, "root")
    source = spikes.open_source([dataclasses.replace(session, region=labels)], batches, recipe.seed)
    state = jax.device_get(first_state(recipe, source))
    asked = {name.removeprefix("validation/").removesuffix("_bps_pooled") for name in Validator(recipe, source)(state)}
    assert {name for name in asked if name in PROMPTS} == set(PROMPTS if known else PROMPTS[:2])
