"""Every system, found by its files: stopped and resumed to the bit, exported and read back, its parameters as before.

A config in configs/ and a module in models/ are held to these rules without a line here, except for
what makes a config small (tests/configs_test.py).
"""

import dataclasses
import json
import shutil
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import by_name
from neurojax.commands import config
from neurojax.commands import train as train_command
from neurojax.data.observed import intervals_of
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import spikes
from neurojax.finetune import release, weights
from neurojax.models import interface as models
from neurojax.objectives import interface as objectives
from neurojax.runs import restore, state_io
from neurojax.runs.manifest import steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train import forward, loop, run, run_folder, settings, state
from neurojax.train.config import LoopConfig
from neurojax.train.optimizer import OptimizerConfig
from neurojax.train.step import run_step
from tests.configs_test import CONFIGS, dataset_for, load, unmoved

CHECKOUT = Path(__file__).resolve().parent.parent
FROZEN = Path(__file__).with_name("frozen_parameters.json")
PACKAGES = {"models": models.NEEDS, "objectives": objectives.NEEDS, "data.sources": ("Config", "open_source")}


# Of the source and objective of mtm, whose run is shared over eight devices; tokens are shared in tokenizers_test.
OF_MTM = ("temporal", "next_bin", "student", "ndt2", "stndt", "poyo", "possm", "ssm")


def modules():
    """(package, name) of every module that a config may name."""
    return [(package, name) for package, needs in PACKAGES.items() for name in by_name.names(package, needs)]


def leaves_of(folder):
    return restore.load_arrays(folder / "checkpoints", log=lambda line: None)[0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_run_trains_everything_is_stopped_goes_on_to_the_same_bits_and_is_exported(path, tmp_path, monkeypatch):
    declared = load(path, "improved")
    declared["train"] |= {"num_steps": 4, "save_every_steps": 3, "validate_every_steps": 2, "log_every_steps": 1}
    if path.stem in OF_MTM:
        declared["sharding"]["data"] = 1
    dataset, quiet = dataset_for(path, declared), {"log": lambda line: None}
    first, begin = [], loop._first_state

    def begun(*given):
        state, step = begin(*given)
        first.append(jax.tree.map(np.array, state.params))  # a copy: the first step takes over the memory
        return state, step

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_first_state", begun)
        run.train(declared, tmp_path / "whole", dataset=dataset, **quiet)
    rows = [row for row in read_metrics(tmp_path / "whole") if "train/loss" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(np.isfinite(row["train/loss"]) and row["train/gradient_norm"] > 0 for row in rows)
    assert not any(row["train/skipped_steps"] for row in rows)
    assert not unmoved(path, first[0], leaves_of(tmp_path / "whole"))

    # As a run that ended before its last save; how a signal ends one is looked at in train/faults_test.
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    shutil.rmtree(tmp_path / "stopped" / "checkpoints" / "4")
    assert steps_on_disk(tmp_path / "stopped" / "checkpoints") == [3]
    told = []
    run.train(declared, tmp_path / "stopped", dataset=dataset, log=told.append)
    assert "resuming from step 3 of 4" in told
    whole, resumed = leaves_of(tmp_path / "whole"), leaves_of(tmp_path / "stopped")
    assert whole.keys() == resumed.keys()
    for name, leaf in whole.items():
        np.testing.assert_array_equal(leaf, resumed[name], err_msg=name)

    trained = weights.read_run(tmp_path / "whole", lambda line: None)
    release.write(tmp_path / "shared", trained, "a card", None)
    found = release.read(tmp_path / "shared")
    kept = {name: leaf for name, leaf in whole.items() if name.startswith(("params/", "tables/", "buffers/"))}
    assert found.arrays.keys() == kept.keys()
    for name, leaf in kept.items():
        np.testing.assert_array_equal(found.arrays[name], leaf, err_msg=name)
    assert settings.predicting(found.config) == settings.predicting(declared)


def shapes_of(path) -> tuple[str, dict[str, list[int]]]:
    """(name of the model, name -> shape of its parameters and tables) of a config made small."""
    declared = load(path, "improved")
    source = settings.open_source(declared, dataset_for(path, declared).to_read)
    params, tables = state.abstract_weights(settings.model_of(declared), source.facts)
    leaves = state_io.named_leaves({"params": params, "tables": tables})
    return declared["model"]["name"], {name: list(leaf.shape) for name, leaf in leaves.items()}


def test_parameters_have_the_names_and_shapes_they_had():
    """A weight that is renamed or reshaped cannot be loaded: say so in CHANGELOG and write the file again.

    python -c "import tests.systems_test as t; t.write_frozen()"
    """
    found = {path.stem: shapes_of(path) for path in CONFIGS}
    frozen = json.loads(FROZEN.read_text())
    assert {name: shapes for _, (name, shapes) in sorted(found.items())} == frozen
    assert {name for name, _ in found.values()} | {"ndt", "sequence", "signals", "ring", "eegnet"} == set(
        by_name.names("models", models.NEEDS)
    )


def test_a_step_leaves_the_state_of_the_types_it_began_with():
    """Otherwise it is compiled once more, at its second call."""
    declared = config_of("lfads")  # its priors start at one number for all factors
    recipe = settings.recipe(declared)
    source = settings.open_source(declared, dataset_for(declared_at("lfads"), declared).sessions)
    before = state.abstract_run(recipe, source.facts)
    after, _ = jax.eval_shape(lambda *given: run_step(*given, recipe), before, source.batch(0))
    assert [leaf.weak_type for leaf in jax.tree.leaves(before)] == [leaf.weak_type for leaf in jax.tree.leaves(after)]


def write_frozen() -> None:
    """Writes what the test above expects, from the checkout as it is."""
    found = {name: shapes for _, (name, shapes) in sorted((path.stem, shapes_of(path)) for path in CONFIGS)}
    FROZEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


READ_OTHERWISE = {"ndt2"}  # a unit reads the state of its patch; the state of a bin is their mean


def spike_models():
    return [path for path in CONFIGS if path.stem not in ("emg", "causal_lm", "twin", "eeg", "mindeye", "joint")]


@pytest.mark.parametrize("path", spike_models(), ids=lambda path: path.stem)
def test_nothing_hidden_and_nothing_later_reaches_a_prediction(path):
    """Counts of hidden units never do; counts of later bins do not where an objective is causal."""
    declared = load(path, "improved")
    source = settings.open_source(declared, dataset_for(path, declared).sessions)
    recipe, rng = settings.recipe(declared), np.random.default_rng(0)
    params, tables = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * rng.standard_normal(leaf.shape), jnp.float32),
        state.abstract_weights(recipe.model, source.facts),
    )
    batch = source.batch(0)
    counts = batch.trials["counts"].astype(np.float32)
    shape, num_units, num_bins = counts.shape[:2], counts.shape[3], counts.shape[2]
    hidden_units = np.zeros((*shape, num_units), bool)
    hidden_units[..., :3] = True
    causal = np.full(shape, 1, np.int32)
    query = objectives.Query(hidden_units, np.zeros((*shape, num_bins), bool), causal)
    weight = rng.standard_normal(counts.shape).astype(np.float32)

    @jax.jit
    def gradient(counts, weight):
        def total(counts):
            seen = batch.with_trials(counts=counts)
            found = forward.outputs((params, tables, {}), seen, query, recipe)
            again = forward.of_states((params, tables, {}), seen, query, found.states, recipe) if answers else found
            return (found.natural * weight).sum(), (found.natural, again.natural)

        return jax.grad(total, has_aux=True)(counts)

    early = weight * (np.arange(num_bins) < 5)[:, None]
    answers = hasattr(recipe.model.module, "answers")
    assert answers == (path.stem not in READ_OTHERWISE)
    found, (natural, again) = gradient(counts, early)
    found = np.asarray(found)
    np.testing.assert_allclose(again, natural, rtol=1e-5, atol=1e-5)  # what its own states are read out as
    assert not found[..., :3].any() and found[..., 3:].any()
    if getattr(recipe.model.module, "HAS_CAUSAL_SCHEME", False):
        assert not found[:, :, 5:].any()


def declared_at(name) -> Path:
    return next(path for path in CONFIGS if path.stem == name)


def config_of(name):
    return load(declared_at(name), "improved")


def test_what_a_config_declares_has_no_second_default_in_its_class():
    kinds = [LoopConfig, OptimizerConfig]
    kinds += [by_name.module_named(package, name, PACKAGES[package]).Config for package, name in modules()]
    fields = [(kind, field) for kind in kinds for field in dataclasses.fields(kind)]
    assert len(kinds) >= 12 and len(fields) > 100
    missing = dataclasses.MISSING
    assert [f"{kind}.{f.name}" for kind, f in fields if (f.default, f.default_factory) != (missing, missing)] == []


def test_next_bin_prediction_refuses_a_model_that_reads_later_bins():
    declared = config_of("lfads") | {"objective": {"name": "next_bin"}}
    with pytest.raises(InputError, match="needs a model that reads no later bin, but model.name=lfads"):
        settings.recipe(declared)


def test_an_entry_of_data_that_nobody_reads_is_named():
    declared = config_of("mtm")
    declared["data"] |= {"trials_per_bach": 8}
    with pytest.raises(InputError, match="config.data.trials_per_bach is not known; choose from bucket_units"):
        settings.source_settings(declared)
    del declared["data"]["trials_per_bach"], declared["data"]["bucket_units"]
    with pytest.raises(InputError, match="the config has no data.*bucket_units"):
        settings.source_settings(declared)


def test_an_entry_that_is_missing_names_the_config_of_such_data():
    assert settings.EXAMPLES.keys() == set(by_name.names("data.sources", PACKAGES["data.sources"]))
    for source, path in settings.EXAMPLES.items():
        declared = config.load([f"--config={CHECKOUT / path}"])
        assert declared["data"]["source"] == source
        for block in (declared, declared["data"]):
            with pytest.raises(InputError, match=f"has no .*nothing; take {path} as an example"):
                settings.entry(block, "" if block is declared else "data", "nothing", int)
        with pytest.raises(InputError, match=r"has no model.width; .*mtm.py \(spikes\) or configs/emg.py \(emg\) or"):
            settings.entry({}, "model", "width", int)


def test_a_session_that_was_not_observed_throughout_is_trained_on_what_was(tmp_path):
    declared = load(next(path for path in CONFIGS if path.stem == "mtm"), "improved")
    declared["train"] |= {"num_steps": 2, "save_every_steps": 2, "validate_every_steps": 0}
    declared["sharding"]["data"] = 1
    session = run_folder.load_data(declared).sessions[0]
    entries = np.random.default_rng(0).random(session.counts.shape) < 0.7
    part = session.with_fields(validity=intervals_of(entries))
    # Counts that nobody saw, in a folder of somebody else's: they must not matter.
    other = part.with_fields(counts=np.where(entries, part.counts, 9).astype(np.uint8))
    for name, one in {"part": part, "other": other}.items():
        run.train(declared, tmp_path / name, dataset=dataset_of([one]), log=lambda line: None)
    ours, theirs = leaves_of(tmp_path / "part"), leaves_of(tmp_path / "other")
    for name, leaf in ours.items():
        assert np.isfinite(leaf).all(), name
        np.testing.assert_array_equal(leaf, theirs[name], err_msg=name)


def test_ensembles_of_neighbouring_seeds_would_share_members(tmp_path):
    with pytest.raises(InputError, match="--seeds and --ensemble share seeds"):
        train_command.train(config_of("mtm"), tmp_path / "run", num_seeds=2, ensemble=2)


def test_samples_need_a_key():
    with pytest.raises(ValueError, match="num_samples=3 needs a key"):
        forward.outputs((), None, None, settings.predicting(config_of("mtm")), num_samples=3)


def test_spikes_are_scored_under_a_head_of_counts_alone():
    declared = config_of("mtm") | {"head": {"name": "gaussian"}}
    predictor = types.SimpleNamespace(recipe=settings.predicting(declared))
    with pytest.raises(InputError, match="head.name=gaussian: bits per spike need head.name=poisson"):
        spikes.evaluate(predictor, None, declared["eval"], 0, folder=Path(), root="")


def test_every_system_has_a_line_in_the_documents():
    pages = (CHECKOUT / "README.md").read_text() + "".join(page.read_text() for page in CHECKOUT.glob("docs/*.md"))
    missing = [f"{package}: {name}" for package, name in modules() if f"`{name}`" not in pages]
    missing += [path.name for path in CONFIGS if path.name not in pages]
    assert not missing


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_where_it_is_from_and_what_to_expect(path):
    words = path.read_text().split('"""')[1].lower()
    for word in ("neurojax train", "source", "hardware", "time", "score"):
        assert word in words, f"{path.name} does not say its {word}"
