"""Models that are not of this package, or not an NDT: what is exported, embedded, adapted and decoded of them."""

import copy
import importlib
import types

import numpy as np
import pytest

from neurojax.api.pretrained import Pretrained
from neurojax.commands import config as declarations
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals.decoding import targets
from neurojax.files import read_json, write_json
from neurojax.finetune import first_state, heads, inherit, release
from neurojax.models.interface import TableSpec
from tests.finetune.every_model_test import CONFIGS, exported, sessions_of, weights_of

RUNNING = '''
"""Leaky latents around their running mean, which is a buffer."""
import dataclasses
import jax.numpy as jnp
from neurojax.models import stitcher
from neurojax.models.interface import Outputs

@dataclasses.dataclass(frozen=True)
class Config:
    read_in_width: int
    width: int
    num_session_rows: int
    init: str
    scales: tuple[int, ...]

def tables(config):
    return stitcher.tables(config)

def init(key, config, facts):
    return {"scale": jnp.asarray(config.scales, jnp.float32)}, {"mean": jnp.zeros(config.width)}

def apply(weights, inputs, config, *, train, key=None):
    latents = stitcher.read_in(weights.rows, inputs.counts.astype(jnp.float32))
    scale, mean = (values[None, None, None] for values in (weights.params["scale"], weights.buffers["mean"]))
    states = (latents - mean) * scale
    mean = 0.5 * weights.buffers["mean"] + 0.5 * latents.mean((0, 1, 2)) if train else weights.buffers["mean"]
    return Outputs(stitcher.log_rates(weights.rows, states, inputs.left_out), states, buffers={"mean": mean})
'''
LOADINGS = '''
"""One table of its own name."""
import dataclasses
import jax
import jax.numpy as jnp
from neurojax.models.interface import Outputs, TableSpec

@dataclasses.dataclass(frozen=True)
class Config:
    rank: int

def tables(config):
    def loadings(key, facts):
        return jax.random.normal(key, (sum(facts.units_per_session), config.rank))
    return {"loadings": TableSpec("unit", True, loadings)}

def init(key, config, facts):
    return {"scale": jnp.ones(2 * config.rank)}, {}

def apply(weights, inputs, config, *, train, key=None):
    loadings = weights.rows["loadings"][:, None]
    states = inputs.counts.astype(jnp.float32) @ loadings
    scale = weights.params["scale"][None, None, None]
    return Outputs(states @ loadings.swapaxes(-1, -2), jnp.concatenate([states, -states], -1) * scale)
'''
MODELS = {
    "running": dict(name="running", read_in_width=4, width=4, num_session_rows=0, init="scaled", scales=[1, 2, 3, 4]),
    "loadings": dict(name="loadings", rank=3),
}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    """Two models, importable where a file of the package would be."""
    folder, package = tmp_path_factory.mktemp("models"), importlib.import_module("neurojax.models")
    for name, text in (("running", RUNNING), ("loadings", LOADINGS)):
        (folder / f"{name}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        yield


def weights_with(model, monkeypatch):
    """Random weights of a model of this file, over the config of the small NDT."""
    load = declarations.load
    monkeypatch.setattr(declarations, "load", lambda words: load(words) | {"model": dict(MODELS[model])})
    return weights_of("ndt")


def stranger():
    counts = np.random.default_rng(7).poisson(0.5, (8, 6, 5))
    return from_counts(counts, bin_size_s=0.02, session_id="three", split=np.zeros(8, int))


def test_buffers_and_entries_of_several_numbers_are_exported_embedded_and_adapted(tmp_path, monkeypatch):
    weights = weights_with("running", monkeypatch)
    weights.arrays["buffers/mean"] = np.arange(4, dtype=np.float32)
    found = exported(weights, tmp_path)
    assert found.arrays["buffers/mean"].tolist() == [0, 1, 2, 3]
    session, model = sessions_of("spikes")[0], Pretrained(found)
    states = model.embed(session)
    assert states.tobytes() == Pretrained(weights).embed(session).tobytes()
    weights.arrays["buffers/mean"] = np.zeros(4, np.float32)
    difference = Pretrained(weights).embed(session) - states
    np.testing.assert_allclose(difference, np.tile(np.arange(4) * weights.arrays["params/scale"], (48, 1)), atol=1e-4)
    adapted = model.adapt(stranger(), steps=1)
    mean = adapted.weights.arrays["buffers/mean"]
    assert np.all(np.isfinite(mean)) and mean[3] > 1  # went on from 3, by half
    assert np.isfinite(adapted.embed(stranger())).all()


def test_an_export_without_its_buffers_is_refused(tmp_path, monkeypatch):
    weights = weights_with("running", monkeypatch)
    del weights.arrays["buffers/mean"]
    with pytest.raises(InputError, match="holds 'buffers/mean' as nothing, its config wants"):
        exported(weights, tmp_path)


@pytest.mark.parametrize("entry", [[1, [2]], [2**40], [None], {"a": 1}, None])
def test_other_lists_than_of_numbers_and_words_are_refused(entry, tmp_path, monkeypatch):
    exported(weights_with("running", monkeypatch), tmp_path)
    content = read_json(tmp_path / release.CONFIG_NAME)
    content["config"]["model"]["scales"] = entry
    write_json(tmp_path / release.CONFIG_NAME, content)
    with pytest.raises(InputError, match=r"model\.scales=.* is no entry of a model"):
        release.read(tmp_path)


def test_an_embedding_is_as_wide_as_the_states(monkeypatch):
    model, session = Pretrained(weights_with("loadings", monkeypatch)), sessions_of("spikes")[0]
    states = model.embed(session)
    assert model.num_dims == states.shape[-1] == 6 and np.isfinite(states).all() and "6 dims" in repr(model)


@pytest.mark.parametrize("model", ["lfads", "loadings"])
def test_what_is_no_ndt_is_not_fine_tuned(model, tmp_path, monkeypatch):
    weights = weights_with(model, monkeypatch) if model in MODELS else weights_of(model)
    words = f"fine-tuning needs an NDT.*model.name='{model}'"
    with pytest.raises(InputError, match=words):
        Pretrained(weights).adapt(stranger(), steps=1)
    exported(weights, tmp_path)
    with pytest.raises(InputError, match=words):
        inherit.resolved(fine_tuning(tmp_path), tmp_path / "new")


def fine_tuning(source):
    return declarations.load([f"--config={CONFIGS / 'finetune.py'}", f"--config.init_from={source}"])


def test_a_model_of_signals_is_not_fine_tuned(tmp_path):
    exported(weights_of("signals"), tmp_path)
    with pytest.raises(InputError, match="fine-tuning needs an NDT.*model.name='signals'"):
        inherit.resolved(fine_tuning(tmp_path), tmp_path / "new")


def test_a_run_of_next_bin_is_adapted_and_keeps_its_prompts(tmp_path):
    weights = weights_of("ndt")
    weights = weights._replace(config=copy.deepcopy(weights.config) | {"objective": {"name": "next_bin"}})
    adapted = Pretrained(weights).adapt(stranger(), steps=1)
    assert adapted.weights.arrays["params/prompts"].tobytes() == weights.arrays["params/prompts"].tobytes()
    assert np.isfinite(adapted.embed(stranger())).all()
    exported(weights, tmp_path)
    assert inherit.resolved(fine_tuning(tmp_path), tmp_path / "new")["objective"] == {"name": "next_bin"}


def test_another_source_of_spikes_is_one_of_spikes():
    weights = weights_of("ndt")
    data = weights.config["data"] | {"source": "recent"}
    assert weights._replace(config=weights.config | {"data": data}).of_spikes()
    assert not weights_of("signals").of_spikes()


def test_a_head_is_trained_on_states_of_any_width():
    session = sessions_of("spikes")[0]
    codes = np.arange(8) % 2
    target = targets.Target("odd", targets.CATEGORICAL, np.arange(8), codes, ("even", "odd"))
    model = Pretrained(weights_of("lfads")).predictor(session)
    found = heads.end_to_end(model, session, target, steps=(1, 2))(target, np.arange(6), np.arange(8))
    assert found.shape == (2, 8, 2) and np.isfinite(found).all()


def test_the_mean_over_a_region_is_taken_of_weights_alone():
    """A patch number is none: the mean of patches 1 and 2 is no patch."""
    known = from_counts(np.ones((3, 3, 4), int), bin_size_s=0.02, session_id="a", region=np.full(4, "M1"))
    new = from_counts(np.ones((3, 3, 2), int), bin_size_s=0.02, session_id="b", region=np.full(2, "M1"))
    specs = {"read_out": TableSpec("unit", True, None), "patch": TableSpec("unit", None, None)}
    recipe = types.SimpleNamespace(
        model=types.SimpleNamespace(config=None, module=types.SimpleNamespace(tables=lambda config: specs))
    )
    source = types.SimpleNamespace(entries=[{"region": known.region}])
    tables = {"read_out": np.arange(6.0), "patch": np.asarray([1.0, 1, 2, 2, 1, 2])}
    first_state._take_region_means(tables, source, [first_state.NewSession(new, slice(4, 6), 1)], recipe)
    assert tables["read_out"][4:].tolist() == [1.5, 1.5] and tables["patch"][4:].tolist() == [1, 2]
