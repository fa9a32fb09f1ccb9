"""The benchmark of training steps on its CPU path: what it counts, what it times, what it reports."""

import importlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "throughput"
NAMES = ("rows", "made_data", "worker", "jax_side", "parity", "run", "pretraining")


@pytest.fixture(scope="module")
def bench():
    """Modules of the experiment, which is no package, by name."""
    sys.path.insert(0, str(FOLDER))
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def test_operations_are_those_of_the_named_models(bench):
    def giga(shape):
        facts = side.facts_of(shape)
        return side.flops.train_step_flops(side.recipe_of(shape).model.config, shape.trials, facts) / 1e9

    side, rows = bench["jax_side"], bench["rows"]
    # 111.1 without the 512 x 512 map from channels to tokens. The released shapes, term by term, M a token:
    # read-in 1.81, embedder 9.46, layers 65.99, read-out 2.08.
    assert giga(rows.BENCH) == pytest.approx(111.1 + 6 * 512**2 * 1600 / 1e9, abs=0.1)
    assert giga(rows.PAPER) == pytest.approx(1600 * (1.81 + 9.46 + 65.99 + 2.08) / 1000, abs=0.1)


@pytest.mark.slow
def test_parity_hands_the_peer_every_weight_and_its_gradient(bench):
    """Under the names of torch_model.py: without torch, what would be compared is looked at."""
    shape = bench["rows"].ndt1(8).replaced(num_units=6, embed_width=4, num_layers=2, num_heads=2, trials=4)
    loss, gradients, given = bench["parity"].loss_and_gradients(shape, bench["parity"].SCHEMES["causal"])
    extra = {"counts", "visible", "target", "scheme", "causal"}
    assert set(given) - set(gradients) == extra and given["causal"]
    assert {name for name in gradients if name.startswith("layers.1.query")} == {
        "layers.1.query.weight",
        "layers.1.query.bias",
    }
    assert gradients["read_in.0.weight"].shape == (8, 6) and gradients["layers.0.expand.weight"].shape == (16, 8)
    assert all(np.isfinite(gradient).all() and gradient.any() for gradient in gradients.values())
    # Nothing is asked of what is visible; the sum of exp(z) - y z over targets is the loss.
    assert not (given["visible"] & given["target"]).any() and given["target"].any()
    assert 0 < loss < 10 * given["target"].sum()


@pytest.mark.slow
def test_a_timed_process_answers_each_turn_and_compiles_nothing_new(bench, monkeypatch, capsys):
    shape = bench["rows"].ndt1(8).replaced(num_units=6, num_layers=1, num_heads=2, num_sessions=5, trials=4)
    shape = shape.replaced(sessions_per_batch=2)
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n2\n\n"))
    bench["jax_side"].serve(shape)
    ready, first, second, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready["parameters"] > 0 and ready["compile_s"] > 0
    assert 0 < first["cpu_s"] and 0 < second["wall_s"] and first["loss"] != second["loss"]
    assert end["recompiles"] == 0


def test_ratios_are_within_a_round(bench):
    run, comparison = bench["run"], "mtm_paper"

    class Known:
        ready = {"flops_per_step": 10.0, "peak_flops": 100.0}

        def __init__(self, name):
            self.name = name

    names = [name for name, _, _ in bench["rows"].COMPARISONS[comparison]]
    slow_machine = [1.0, 10.0, 100.0]  # twice the time in every round, however slow the round was
    times = {
        name: [{"cpu_s": factor * seconds, "wall_s": factor * seconds} for seconds in slow_machine]
        for name, factor in zip(names, (1.0, 2.0), strict=True)
    }
    found = run.summary(comparison, [Known(name) for name in names], "cpu", times)
    assert found[names[1]]["cpu_ratio_quartiles"] == [2.0, 2.0, 2.0]
    assert found[names[0]]["trials_per_s"] == 1.6 and found[names[0]]["mfu"] == 0.01


@pytest.mark.slow
def test_a_pretraining_is_timed_and_learns(bench):
    pretraining = bench["pretraining"]
    dataset = pretraining.made_dataset(2, 12, 24, num_bins=10)
    fields = ("optimizer.learning_rate=0.003",)
    config = pretraining.config_of("tiny", 8, 5, fields)
    found = pretraining.timed_part(config, dataset, 0.5, 20)
    losses = found["nats_per_entry"]
    assert found["steps"] % 20 == 0 and found["steps"] >= 20 and found["took_s"] > 0
    lines = [{"step": 20, "time_s": 30.0}, {"step": 40, "time_s": 31.0}, {"step": 60, "time_s": 32.5}]
    assert pretraining._after_compilation(lines) == (40, 2.5)
    assert losses[-1] < losses[0]
