"""A new animal on a digital twin: rows alone train, the core and known rows stay, places in cortex are its own."""

import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.commands import config, decode
from neurojax.data import batching
from neurojax.data.store import stimuli as store
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import v1
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.finetune import twin_rows
from neurojax.models import conv_core, gaussian_readout
from neurojax.models import twin as model
from neurojax.models.interface import StimulusInputs, Weights
from neurojax.train import run, run_folder, settings
from tests.configs_test import CONFIGS, SMALL, dataset_for, load
from tests.systems_test import leaves_of

TWIN = next(path for path in CONFIGS if path.stem == "twin")
QUIET = {"log": lambda line: None}


def fine_tuned(start: Path, *more: str):
    own = [entry for entry in SMALL["twin"] if entry.startswith("data.")]
    entries = (f"init_from={start}", *own, "train.num_steps=3", "train.validate_every_steps=0", *more)
    path = TWIN.with_name("finetune_twin.py")
    return config.load([f"--config={path}", *(f"--config.{entry}" for entry in entries)])


def made_up(places: str):
    """(core, config, dataset, layout, rows as they begin, true drive of other images, those images, true places)."""
    changes = {"image_height": 20, "image_width": 20, "width": 6, "num_layers": 1, "input_kernel": 7, "places": places}
    declared = load(TWIN, "")
    config_of_twin = settings.model_of(declared | {"model": declared["model"] | changes}).config
    params, buffers = conv_core.init(jax.random.key(0), config_of_twin, 1)
    rng = np.random.default_rng(0)
    images = np.float32(v1.textures(rng, 500, 20))[:, None]
    cortex = rng.uniform(-1, 1, (30, 2))
    true = 0.7 * cortex @ np.array([[0.8, -0.5], [0.5, 0.8]])
    features = rng.standard_normal((30, 6))
    maps = conv_core.apply(params, buffers, jnp.asarray(images[:, 0, ..., None]), config_of_twin, train=False)[0]
    drive = np.asarray(gaussian_readout.read(maps, jnp.float32(true)[None], jnp.float32(features)))
    drive = 1.5 * drive / drive.std(0) + 0.5
    rates = np.where(drive < 0, np.exp(np.minimum(drive, 0)), 1 + drive)
    session = from_counts(
        rng.poisson(rates[:260])[:, None],
        bin_size_s=0.5,
        session_id="new",
        split=np.repeat(np.int8([0, 1, 2]), [240, 10, 10]),
        conditions={"stimulus": np.arange(260)},
        unit_metadata={"x_um": cortex[:, 0], "y_um": cortex[:, 1]},
    )
    dataset = store.with_stimuli([session], store.of_images(images, np.zeros(500, np.int8), ("texture",)))
    layout = batching.Layout.of([session], batching.session_table([session]))
    keys = jax.random.split(jax.random.key(1), 20)
    facts = types.SimpleNamespace(mean_counts=np.ones(30), units_per_session=(30,), num_features=0)
    first = {}
    for key, (name, spec) in zip(keys, model.tables(config_of_twin).items(), strict=False):
        values = np.asarray(spec.init(key, facts))
        first[name] = values if spec.rows == "unit" else values[0]
    first |= model.fitted_rows(config_of_twin, [session], facts)
    return (params, buffers), config_of_twin, dataset, layout, first, rates[260:], images[260:], true


@pytest.mark.parametrize("places", ["position", "unit"])
def test_a_regression_on_the_core_finds_places_and_features(places):
    core, settled, dataset, layout, first, rates, images, true = made_up(places)
    known = np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32)
    found = twin_rows.rows(*core, settled, dataset, 0, layout, first, known, 0)
    assert {name: a.shape for name, a in found.items()} == {name: first[name].shape for name in found}
    rows = {name: jnp.asarray(values)[None] for name, values in (first | found).items()}
    off = np.hypot(*(np.asarray(model.mean_places(rows, settled))[0] - true).T)
    pixel = 2 / 13
    assert np.median(off) < (0.6 if places == "position" else 1.0) * pixel  # thirty neurons know more than one
    shown = StimulusInputs(jnp.asarray(images)[None], None, None)
    said = np.exp(model.apply(Weights(core[0], rows, core[1]), shown, settled, train=False).natural[0, :, 0])
    told = [np.corrcoef(one, other)[0, 1] for one, other in zip(said.T, rates.T, strict=True)]
    assert np.median(told) > 0.9
    assert np.median(said.mean(0) / rates.mean(0)) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_rows_alone_train_and_places_are_those_of_the_new_animal(tmp_path):
    declared = load(TWIN, "")
    run.train(declared, tmp_path / "first", dataset=dataset_for(TWIN, declared), **QUIET)
    asked = fine_tuned(tmp_path / "first")
    run.train(asked, tmp_path / "second", **QUIET)
    first, second = leaves_of(tmp_path / "first"), leaves_of(tmp_path / "second")
    for name in (name for name in first if name.startswith(("params/", "buffers/"))):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name in ("tables/feature", "tables/place_kernel_0", "tables/bias"):
        number = len(first[name])
        np.testing.assert_array_equal(first[name], second[name][:number], err_msg=name)
        assert len(second[name]) == 2 * number and np.ptp(second[name][number:]) > 0
    (animal,) = run_folder.load_data(asked).sessions
    assert animal.session_id == "v1_1"
    np.testing.assert_array_equal(second["tables/position"][6:], model.positions_of(animal))
    assert np.abs(second["tables/feature"][6:] - 1 / 4).min() > 0  # all of them trained

    with pytest.raises(InputError, match="rows of new sessions start by new_rows=random or closed_form; take --conf"):
        run.train(fine_tuned(tmp_path / "first", "finetune.new_rows=pca"), tmp_path / "third", **QUIET)
    found = decode.decode(tmp_path / "second", target="stimulus")
    assert read_json(tmp_path / "second" / "decoding.json") == found and set(found["sessions"]) == {"v1_1"}


def test_a_session_without_places_is_told_what_to_do():
    animal = run_folder.load_data(load(TWIN, "")).sessions[0].with_fields(unit_metadata={})
    with pytest.raises(InputError, match="lacks x_um and y_um of its units; give them, or set model.places=unit"):
        model.positions_of(animal)
