"""What a line of metrics.jsonl says of the steps since the last."""

from types import SimpleNamespace

from neurojax.objectives import elbo
from neurojax.train.log_window import LogWindow
from tests.configs_for_tests import loop_config

STEP = {"nll_sum": 6.0, "entries": 12.0, "loss": 0.5, "gradient_norm": 1.0, "learning_rate": 0.1}
STEP |= {"skipped": 0, "skipped_in_a_row": 0}


def line_of(objective, *steps):
    """What is written after steps with these metrics."""
    recipe = SimpleNamespace(objective=SimpleNamespace(module=objective), model=SimpleNamespace(config=None))
    source, lines = SimpleNamespace(trials_per_batch=4, facts=None), []
    window = LogWindow(recipe, loop_config(log_every_steps=len(steps)), source, devices=1)
    writer = SimpleNamespace(write=lambda step, values: lines.append(values))
    progress = SimpleNamespace(first=0, update=lambda step, loss: None)
    for metrics in steps:
        window.add(STEP | metrics, writer, progress)
    (line,) = lines
    return line


def test_time_before_a_stop_counts_as_time_of_training_and_not_as_time_of_a_step():
    recipe = SimpleNamespace(objective=SimpleNamespace(module=None), model=SimpleNamespace(config=None))
    source, lines = SimpleNamespace(trials_per_batch=4, facts=None), []
    window = LogWindow(recipe, loop_config(log_every_steps=1), source, devices=1)
    window.add_earlier(1000.0)
    writer = SimpleNamespace(write=lambda step, values: lines.append(values))
    window.add(STEP, writer, SimpleNamespace(first=0, update=lambda step, loss: None))
    assert 1000.0 <= lines[0]["time_s"] < 1100.0 and 1000.0 <= window.elapsed_s() < 1100.0
    assert lines[0]["trials_per_s"] > 4 / 100  # one step of four trials in much less than 1,000 s


def test_sums_that_an_objective_names_are_means_over_all_trials_of_the_line():
    objective = SimpleNamespace(LOGGED_PER_TRIAL=("price", "kl_inputs"))
    steps = [{"price": 9.0, "kl_inputs": 2.0, "trials": 1.0}, {"price": 3.0, "kl_inputs": 4.0, "trials": 3.0}]
    line = line_of(objective, *steps)
    assert line["train/price_per_trial"] == 3.0 and line["train/kl_inputs_per_trial"] == 1.5
    assert line["train/nats_per_entry"] == 0.5


def test_no_name_makes_a_metric_one_of_trials():
    line = line_of(SimpleNamespace(), {"kl_inputs": 2.0, "trials": 4.0})
    assert [name for name in line if name.endswith("_per_trial")] == []


def test_a_line_without_a_trial_has_no_mean_over_them():
    line = line_of(SimpleNamespace(LOGGED_PER_TRIAL=("price",)), {"price": 0.0, "trials": 0.0})
    assert "train/price_per_trial" not in line


def test_the_bound_of_lfads_logs_its_divergences():
    names = ("kl_initial_state", "kl_inputs")
    line = line_of(elbo, {name: 8.0 for name in names} | {"trials": 2.0})
    assert [line[f"train/{name}_per_trial"] for name in names] == [4.0, 4.0]
