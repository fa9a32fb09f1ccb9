"""Parts of different systems are refused before anything is trained or written."""

import dataclasses

import jax.numpy as jnp
import pytest

from neurojax.errors import InputError
from neurojax.models import ndt
from neurojax.train import fitting, run, run_folder, settings
from tests.configs_test import CONFIGS, dataset_for, load


def config_of(name):
    return load(next(path for path in CONFIGS if path.stem == name), "improved")


def dataset_of_config(name, declared):
    return dataset_for(next(path for path in CONFIGS if path.stem == name), declared)


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS])
def test_every_config_fits_itself(name):
    declared = config_of(name)
    source = settings.open_source(declared, dataset_of_config(name, declared).to_read)
    fitting.require_fitting(settings.recipe(declared), source)


@pytest.mark.parametrize(
    "name, changes",
    [
        ("mtm", {"head": {"name": "categorical"}}),
        ("lfads", {"head": {"name": "categorical"}}),
        ("emg", {"head": {"name": "poisson"}}),
        ("mtm", {"objective": "supervised"}),
        ("emg", {"objective": "mtm"}),
        ("emg", {"objective": "next_bin", "model": "ndt"}),
    ],
)
def test_parts_of_two_systems_leave_no_workdir(name, changes, tmp_path):
    declared, others = config_of(name), {"mtm": "mtm", "supervised": "emg", "next_bin": "next_bin", "ndt": "temporal"}
    for block, part in changes.items():
        declared[block] = config_of(others[part])[block] if isinstance(part, str) else part
    with pytest.raises(InputError, match="do not fit each other or the source (spikes|signals)"):
        run.train(declared, tmp_path / "run", dataset=dataset_of_config(name, declared), log=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_a_model_with_buffers_fits(monkeypatch):
    init, apply = ndt.init, ndt.apply

    def apply_with_buffers(weights, *arguments, **more):
        return apply(weights, *arguments, **more)._replace(buffers={"seen": weights.buffers["seen"] + 1})

    monkeypatch.setattr(ndt, "init", lambda *arguments: (init(*arguments)[0], {"seen": jnp.zeros(())}))
    monkeypatch.setattr(ndt, "apply", apply_with_buffers)
    path = next(path for path in CONFIGS if path.stem == "mtm")
    declared = load(path, "faithful")
    source = settings.open_source(declared, run_folder.load_data(declared).sessions)
    fitting.require_fitting(settings.recipe(declared), source)


def test_what_fitted_is_not_traced_again(monkeypatch):
    declared, calls = config_of("emg"), []
    source, recipe = (
        settings.open_source(declared, dataset_of_config("emg", declared).to_read),
        settings.recipe(declared),
    )
    apply = recipe.model.module.apply

    def counted(*arguments, **more):
        calls.append("traced")
        return apply(*arguments, **more)

    monkeypatch.setattr(recipe.model.module, "apply", counted)
    fitting.require_fitting(recipe, source)
    num_calls = len(calls)
    fitting.require_fitting(dataclasses.replace(recipe, seed=9, num_steps=3), source)
    assert 0 < num_calls == len(calls)
    wider = dict(declared, data=declared["data"] | {"trials_per_batch": 4})
    fitting.require_fitting(recipe, settings.open_source(wider, dataset_of_config("emg", wider).to_read))
    assert len(calls) > num_calls  # of another size
    monkeypatch.setattr(recipe.model.module, "apply", lambda *arguments, **more: 1 / 0)
    with pytest.raises(InputError, match="do not fit each other"):
        fitting.require_fitting(recipe, source)
