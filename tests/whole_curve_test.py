"""A learning curve from one run: its schedules, and a branch that goes on, bit for bit, where the constant run was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.runs import restore
from neurojax.train import optimizer, settings
from tests import experiment_modules
from tests.configs_test import CONFIGS, dataset_for, load


@pytest.fixture(scope="module")
def whole_curve():
    with experiment_modules.imported("whole_curve", ("run",), ()) as modules:
        yield modules.run


def rates(config):
    recipe = settings.recipe(config)
    schedule = optimizer.schedule(recipe.optimizer, recipe.num_steps)
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(recipe.num_steps + 1)))


def test_the_constant_run_stays_at_its_peak_and_a_branch_falls_from_there(whole_curve):
    steady = whole_curve.constant()
    peak, warm = steady["optimizer"]["learning_rate"], whole_curve.CONSTANT_WARMUP_STEPS
    found = rates(steady)
    assert found[0] < 0.2 * peak and warm < min(map(whole_curve.branch_point, whole_curve.LENGTHS))
    np.testing.assert_allclose(found[warm:], peak, rtol=1e-5)
    train = steady["train"]
    for length in whole_curve.LENGTHS:
        point = whole_curve.branch_point(length)
        assert point % train["save_every_steps"] == 0 and point <= train["num_steps"]
        falling = rates(whole_curve.branch(length))[point:]
        np.testing.assert_allclose(falling[0], peak, rtol=1e-4)
        assert np.all(np.diff(falling) < 0) and falling[-1] < 1e-3 * peak
    assert train["num_steps"] // train["save_every_steps"] <= train["keep_checkpoints"]


def test_a_branch_goes_on_bit_for_bit_from_the_step_it_is_named_for(whole_curve, tmp_path, capsys):
    path = next(path for path in CONFIGS if path.stem == "emg")
    config = load(path, "improved")
    dataset = dataset_for(path, config)
    config["train"].update(num_steps=4, save_every_steps=2, keep_checkpoints=4, validate_every_steps=0)
    whole_curve.train(config, tmp_path / "steady", dataset)
    whole_curve.begin_at(tmp_path / "branch", tmp_path / "steady", 2)
    config["optimizer"]["warmup_share"] = 2 / 4
    whole_curve.train(config, tmp_path / "branch", dataset)
    assert "resuming from step 2 of 4" in capsys.readouterr().out
    steady, branch = (tmp_path / name / "checkpoints" for name in ("steady", "branch"))
    for step, same in ((2, True), (4, False)):
        ours, theirs = (restore.load_arrays(folder, step)[0] for folder in (steady, branch))
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours) == same
    assert restore.load_arrays(branch)[0]["step"] == 4
