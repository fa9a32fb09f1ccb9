"""The estimate is above what XLA allots, and bounds the trials of a pass."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.sessions import from_counts
from neurojax.errors import InputError
from neurojax.masking import Masks
from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.train import predictor
from neurojax.train.pass_memory import bytes_per_trial, trials_that_fit

PLAIN = ModelConfig(read_in_width=16, width=32, num_layers=2, num_heads=2, mlp_width=64, num_positions=40)
RICH = dataclasses.replace(
    PLAIN, hidden_counts="mean", posterior_noise=1.0, smoothed_tokens=True, linear_path=True, own_history=True
)


@pytest.mark.parametrize("model", [PLAIN, RICH], ids=["plain", "rich"])
def test_the_estimate_bounds_what_a_compiled_pass_allots(model):
    num_bins, num_units, num_trials = 40, 128, 32
    session = from_counts(
        np.ones((3, num_bins, num_units), np.uint8), bin_size_s=0.02, session_id="rat", split=[0, 1, 2]
    )
    layout = batching.Layout.of([session])
    plan = batching.Plan(np.asarray([0], np.int32), np.zeros((1, num_trials), np.int32), num_units)
    batch = batching.static_fields(layout, plan)._replace(
        counts=np.zeros((1, num_trials, num_bins, num_units), np.uint8),
        bin_valid=np.ones((1, num_trials, num_bins), bool),
    )
    units, bins = np.zeros((1, num_trials, num_units), bool), np.zeros((1, num_trials, num_bins), bool)
    asked = (batch, Masks(units, bins, units, bins), np.zeros((1, num_trials), np.int32))
    shapes = jax.eval_shape(
        lambda key: (
            ndt.init_params(key, model),
            stitcher.init_tables(key, model, layout.num_units, np.ones(layout.total_units)),
        ),
        jax.random.key(0),
    )
    compiled = jax.jit(functools.partial(predictor._log_rates, config=model)).lower(*shapes, *asked).compile()
    found = compiled.memory_analysis()
    allotted = found.temp_size_in_bytes + found.output_size_in_bytes + asked[0].counts.nbytes
    estimate = num_trials * bytes_per_trial(model, num_bins, num_units)
    assert allotted <= estimate <= 8 * allotted


def test_trials_of_a_pass_follow_from_memory_and_fill_every_device():
    one_mb = bytes_per_trial(PLAIN, 40, 128) / 2**20
    assert trials_that_fit(PLAIN, 40, 128, memory_mb=4096, at_most=256).trials == 256
    few = trials_that_fit(PLAIN, 40, 128, memory_mb=4, at_most=256)
    assert few.trials == int(4 / one_mb) < 256 and few.memory_mb <= 4
    shared = trials_that_fit(PLAIN, 40, 128, memory_mb=4, at_most=256, num_devices=8)
    assert shared.trials == min(256 // 8, few.trials) * 8 and shared.memory_mb <= 4
    assert trials_that_fit(PLAIN, 40, 128, memory_mb=4096, at_most=20, num_devices=8).trials == 16
    assert trials_that_fit(PLAIN, 40, 128, memory_mb=4096, at_most=3, num_devices=8).trials == 8
    with pytest.raises(InputError, match="eval.memory_mb=1 does not hold one trial of 4000 bins"):
        trials_that_fit(PLAIN, 4000, 1024, memory_mb=1, at_most=256)
