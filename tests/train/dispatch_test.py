"""Which batches go to the devices together; what is then learned is told in loop_test.py."""

import dataclasses

import jax
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.train import dispatch, loop, sharding
from neurojax.train.step import run_step
from tests.configs_for_tests import loop_config


def grouped(widths, first=0, **changes):
    """[batch numbers of each run] for batches of these widths."""
    settings = dict(log_every_steps=100, save_every_steps=0, placement="device", steps_per_dispatch=4) | changes
    stream = ({"number": np.full((1, width), first + index)} for index, width in enumerate(widths))
    found = []
    for run in dispatch.runs(stream, first, loop_config(**settings)):
        numbers = run.made["number"][..., 0, 0]
        found.append(numbers[: run.length].tolist() if numbers.ndim else [int(numbers)])
        assert found[-1][0] == run.first and len(found[-1]) == run.length
        assert numbers.shape in ((), (4,)), "runs of any length have one shape, and with it one program"
    return found


def test_runs_are_as_long_as_they_may_be():
    assert grouped([8] * 10) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert grouped([8] * 3, steps_per_dispatch=1) == [[0], [1], [2]]
    assert grouped([]) == []


def test_a_run_ends_where_the_host_has_something_to_do():
    """After step 5 (batch 4) a line, after steps 3 and 6 a validation, after step 8 a save; resumed at batch 2."""
    found = grouped([8] * 8, first=2, log_every_steps=5, validate_every_steps=3, save_every_steps=8)
    assert found == [[2], [3, 4], [5], [6, 7], [8], [9]]


def test_a_run_has_batches_of_one_shape_in_their_order():
    assert grouped([8, 8, 16, 8, 8, 8, 8, 8]) == [[0, 1], [2], [3, 4, 5, 6], [7]]


def test_several_steps_need_the_counts_on_the_device():
    with pytest.raises(InputError, match="train.steps_per_dispatch=4 needs .*data.placement=device"):
        loop_config(steps_per_dispatch=4)
    with pytest.raises(InputError, match="train.steps_per_dispatch=0; expected at least 1"):
        loop_config(steps_per_dispatch=0, placement="device")


def test_runs_of_other_seeds_take_one_program(recipe, source):
    """A step takes the seed from the state: it would otherwise be traced and compiled for each."""
    config, mesh = loop_config(placement="host", steps_per_dispatch=1), sharding.make_mesh(1, 1)
    feed, traced = dispatch.feed_of(source, config, mesh), set()
    dispatch._compiled.cache_clear()
    for seed in (0, 5):
        own = dataclasses.replace(recipe, seed=seed)
        state = loop.abstract_state(own, source.facts, mesh)
        dispatch.program(own, config, feed, state)
        step = jax.make_jaxpr(lambda state, batch, own=own: run_step(state, batch, own))
        traced.add(str(step(state, source.batch(0))))
    assert (dispatch._compiled.cache_info().misses, dispatch._compiled.cache_info().hits) == (1, 1)
    assert len(traced) == 1
