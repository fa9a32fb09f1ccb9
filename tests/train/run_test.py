"""One function from config to record: what it returns and leaves, from Python, without the command line."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands import config as declarations
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.evals import spikes
from neurojax.files import read_json
from neurojax.runs import restore
from neurojax.train import run

CHECKOUT = Path(__file__).parents[2]
FIELDS = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.trials_per_batch=4", "data.bucket_units=16", "train.num_steps=4", "train.validate_every_steps=0"),
    "sharding.data=1",
]


def config_of(*fields):
    words = [f"--config={CHECKOUT / 'configs' / 'mtm.py'}", *(f"--config.{field}" for field in (*FIELDS, *fields))]
    return declarations.load(words)


@pytest.fixture(scope="module")
def dataset():
    spec = synthetic.SyntheticSpec(num_sessions=2, num_trials=20, num_bins=10)
    return dataset_of(synthetic.make_sessions(spec, seed=0))


def rates_known(model, dataset, settings, seed, *, folder, root, log):
    """Stands in for an evaluator: scores nothing, and says what it was given."""
    log(f"scored {len(dataset.sessions)}")
    return {"lengths": {"num_bins": model.layout.num_bins, "seed": seed}, "example": np.zeros(3)}


@pytest.fixture(scope="module")
def evaluator():
    """An evaluator `lengths` as a module of neurojax/evals; what it was asked, in order."""
    asked = []
    module = types.ModuleType("neurojax.evals.lengths")
    module.about = lambda settings: {"limit": settings["limit"]}
    module.prepare = lambda dataset, settings, *, run=None, log: dataset
    module.evaluate = rates_known
    module.show = lambda record, log: asked.append(("show", record["lengths"]))

    def draw(folder, record, example, metrics, *, suffix, log):
        asked.append(("draw", example.shape))
        (folder / "report.html").write_text("a page")

    module.draw = draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "neurojax.evals.lengths", module)
        yield asked


def with_evaluator(config, **settings):
    return {**config, "eval": {"evaluator": "lengths", **settings}}


@pytest.fixture(scope="module")
def finished(dataset, evaluator, tmp_path_factory):
    """(folder, config, record, lines) of a run that is trained and scored."""
    folder, said = tmp_path_factory.mktemp("finished"), []
    config = with_evaluator(config_of("seed=5"), limit=1)
    record = run.train_and_evaluate(config, folder, dataset=dataset, log=said.append)
    return folder, config, record, said


def test_a_record_comes_back_as_it_was_written_and_a_finished_run_is_not_scored_again(dataset, evaluator, finished):
    folder, config, record, said = finished
    assert record == read_json(folder / "evaluation.json")
    assert record["lengths"] == {"num_bins": 10, "seed": 5} and "example" not in record
    assert (record["limit"], record["step"], record["seed"]) == (1, 4, 5)
    assert record["eval"] == config["eval"] and record["dataset_fingerprint"] == dataset.fingerprint
    assert evaluator == [("show", record["lengths"]), ("draw", (3,))]
    shared, rows = (record["cost"][name] for name in ("shared_parameters", "row_parameters"))
    assert f"({shared:,} shared, {rows:,} in rows" in "\n".join(said) and record["cost"]["training_s"] > 0
    assert "scored 2" in said and "\n".join(said).count("training: 4 steps") == 1

    again = run.train_and_evaluate(config, folder, dataset=dataset, log=said.append)
    assert again == record and said[-1].startswith(f"{folder} is finished and evaluated")
    assert len(evaluator) == 2

    changed = run.train_and_evaluate(with_evaluator(config, limit=2), folder, dataset=dataset, log=said.append)
    assert changed["limit"] == 2 and changed["config_hash"] == record["config_hash"] and len(evaluator) == 4
    run.train_and_evaluate(with_evaluator(config, limit=2, draws=9), folder, dataset=dataset, log=said.append)
    assert len(evaluator) == 6  # a setting that `about` does not tell counts too


def test_training_alone_leaves_the_same_weights_and_no_score(dataset, finished, tmp_path):
    run.train(finished[1], tmp_path, dataset=dataset, log=lambda line: None)
    assert not (tmp_path / "evaluation.json").exists()
    alone, scored = (restore.load_arrays(folder / "checkpoints") for folder in (tmp_path, finished[0]))
    assert alone[0].keys() == scored[0].keys()
    for name, array in alone[0].items():
        np.testing.assert_array_equal(array, scored[0][name], err_msg=name)
    same = ("config_hash", "dataset_fingerprint", "sessions", "num_bins", "bin_size_s", "seed", "mesh")
    assert {name: alone[1][name] for name in same} == {name: scored[1][name] for name in same}
    assert (alone[1]["seed"], alone[1]["dataset_fingerprint"]) == (5, dataset.fingerprint)


def test_a_dry_run_returns_nothing_and_writes_nothing(dataset, evaluator, tmp_path):
    said, folder = [], tmp_path / "run"
    config = with_evaluator(config_of(), limit=1)
    assert run.train_and_evaluate(config, folder, dataset=dataset, log=said.append, dry_run=True) is None
    assert not folder.exists()
    assert "memory: about" in said[-1] and "MiB on each device" in said[-1]


@pytest.mark.parametrize("name", ["lenghts", "scoring", "../spikes", "", 3])
def test_a_name_that_is_no_evaluator_is_told_before_training(dataset, tmp_path, name):
    config = {**config_of(), "eval": {"evaluator": name}}
    with pytest.raises(InputError, match="choose from .*spikes"):
        run.train_and_evaluate(config, tmp_path / "run", dataset=dataset, log=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_a_protocol_goes_with_evaluators_that_have_one(finished):
    with pytest.raises(InputError, match="--protocol=nlb, but this run is evaluated without a protocol"):
        run.evaluate(finished[0], protocol="nlb")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"memory_mb": None}, "the config has no eval.memory_mb"),
        ({"num_permutations": None}, "the config has no eval.num_permutations"),
        ({"num_boot": True}, "eval.num_boot=True; expected a int"),
        ({"trials_per_pass": 0}, "eval.trials_per_pass=0; expected at least 1"),
        ({"baselines": "psth,magic"}, "eval.baselines names 'magic'"),
        ({"baselines": "('train_mean',)"}, r"eval.baselines names .*write --config.eval.baselines=a,b \(no brackets"),
        ({"protocol": 7}, "eval.protocol=7; expected a str"),
    ],
)
def test_settings_of_spikes_that_cannot_be_used_are_named(change, words):
    settings = {name: value for name, value in (config_of()["eval"] | change).items() if value is not None}
    with pytest.raises(InputError, match=words):
        spikes.about(settings)


def test_prediction_and_evaluation_keep_the_memory_bound():
    """`predict` asks the function that `evaluate` asks."""
    bound = {}

    class Model:
        def pass_size(self, num_units, *, memory_mb, at_most):
            bound.update(num_units=num_units, memory_mb=memory_mb, at_most=at_most)
            return types.SimpleNamespace(trials=3, memory_mb=0.5)

    said, settings = [], config_of("eval.memory_mb=1", "eval.trials_per_pass=64")["eval"]
    sessions = [types.SimpleNamespace(num_units=5), types.SimpleNamespace(num_units=9)]
    data = types.SimpleNamespace(sessions=sessions)
    assert spikes.trials_per_pass(Model(), data, settings, said.append, "prediction") == 3
    assert bound == {"num_units": 9, "memory_mb": 1, "at_most": 64}
    assert said[0].startswith("prediction: 3 trials a forward pass") and "eval.memory_mb=1" in said[0]


def test_a_run_of_few_trials_ends_after_so_many_passes(tmp_path, dataset):
    """28 training trials in batches of four: two passes are 14 steps, however many are asked for."""
    told = []
    config = config_of("train.num_steps=500", "train.most_passes=2.0")
    run.train(config, tmp_path / "run", dataset=dataset, log=told.append)
    assert restore.newest_manifest(tmp_path / "run" / "checkpoints")["step"] == 14
    assert any("training ends after 14 of 500 steps, 2 passes over the trials" in line for line in told)
