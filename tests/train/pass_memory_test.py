"""The estimate is above what XLA allots, and bounds the trials of a pass."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from neurojax.commands import config as declarations
from neurojax.data import batching
from neurojax.data.sources import spikes
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.objectives.interface import Query
from neurojax.train import predictor, run, run_folder, state
from neurojax.train.pass_memory import bytes_per_trial, trials_that_fit
from tests import configs_for_tests
from tests.configs_for_tests import MTM, linear_config, model_of, mtm_config, ndt_config, objective_of

SIZES = dict(read_in_width=16, width=32, num_layers=2, num_heads=2, mlp_width=64, num_positions=40)
PLAIN, RICH = ndt_config(**SIZES, positions="learned"), linear_config(**SIZES, positions="learned")


def allotted_by(config, num_bins, num_units, num_trials, all_observed=True, num_patterns=None):
    """Bytes that XLA allots for a pass, with its counts."""
    counts = np.ones((3, num_bins, num_units), np.uint8)
    session = from_counts(counts, bin_size_s=0.02, session_id="rat", split=[0, 1, 2])
    source = spikes.open_source([session], configs_for_tests.batching_config(trials_per_batch=1), 0)
    plan = batching.Plan(np.asarray([0], np.int32), np.zeros((1, num_trials), np.int32), num_units)
    batch = batching.gather([session], source.layout, plan)
    if not all_observed:
        batch = batch.with_trials(entry_valid=np.ones(batch.trials["counts"].shape, bool))
    if num_patterns:
        batch = batch.with_trials(pattern_bin=np.zeros((1, num_trials, num_patterns), np.int32))
    units, bins = np.zeros((1, num_trials, num_units), bool), np.zeros((1, num_trials, num_bins), bool)
    query = Query(units, bins, np.zeros((1, num_trials), np.int32))
    recipe = predictor.Recipe(model_of(config), objective_of(mtm_config()))
    trained = (*state.abstract_weights(recipe.model, source.facts), {})
    outputs = functools.partial(predictor._outputs, recipe=recipe, wanted="natural", num_samples=1)
    found = jax.jit(outputs).lower(trained, batch, query, None).compile().memory_analysis()
    return found.temp_size_in_bytes + found.output_size_in_bytes + batch.trials["counts"].nbytes


@pytest.mark.parametrize(
    ("all_observed", "num_patterns"),
    [(True, None), (False, None), (False, 2)],
    ids=["whole", "in part", "two patterns"],
)
@pytest.mark.parametrize("config", [PLAIN, RICH], ids=["ndt", "ndt_linear"])
def test_the_estimate_bounds_what_a_compiled_pass_allots(config, all_observed, num_patterns):
    allotted = allotted_by(config, 40, 128, 32, all_observed, num_patterns)
    estimate = 32 * bytes_per_trial(config, 40, 128, all_observed, num_patterns)
    assert allotted <= estimate <= 8 * allotted


@pytest.mark.parametrize("num_bins", [256, 300], ids=["weights of bins by bins", "sums"])
def test_the_estimate_bounds_passes_over_long_trials_of_few_units(num_bins):
    config = dataclasses.replace(RICH, num_positions=300)
    allotted = allotted_by(config, num_bins, 16, 4)
    assert allotted <= 4 * bytes_per_trial(config, num_bins, 16) <= 8 * allotted


@pytest.mark.parametrize(
    "name, much",
    [
        ("ndt2", {"patch_units": 8}),
        ("stndt", {}),
        ("poyo", {"event_share": 1.0}),
        ("possm", {"event_share": 1.0, "state_width": 32}),
        ("ssm", {"state_width": 32}),
    ],
)
def test_the_estimate_bounds_passes_over_patches_and_events(name, much):
    without = ("num_positions", "num_heads") if name == "ssm" else ("num_positions",)
    sizes = {entry: value for entry, value in SIZES.items() if entry not in without}
    config = configs_for_tests.tokens_config(name, **sizes | much)
    allotted = allotted_by(config, 40, 128, 32)
    assert allotted <= 32 * bytes_per_trial(config, 40, 128) <= 8 * allotted


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


def test_a_bound_that_holds_no_trial_is_refused_before_training(tmp_path):
    words = [f"--config={MTM}", "--config.eval.memory_mb=1", "--config.eval.trials_per_pass=4"]
    config = declarations.load([*words, "--config.data.synthetic.num_trials=30"])
    sessions = run_folder.load_data(config).sessions
    long = [one.with_fields(trial_start_bin=np.array([0, 500, 1000, 1050]), trial_num_bins=np.array([500, 500, 50, 50]),
                            trial_start_s=np.arange(4.0) * 20, split=np.array([0, 2, 0, 1], np.int8), conditions={})
            for one in sessions]  # fmt: skip
    with pytest.raises(InputError, match="eval.memory_mb=1 does not hold one trial of 500 bins"):
        run.train_and_evaluate(config, tmp_path / "run", dataset=dataset_of(long), log=lambda line: None)
    assert not (tmp_path / "run").exists()
