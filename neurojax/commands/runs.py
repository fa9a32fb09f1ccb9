"""A run on disk: its config, its data, its trained weights."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.data import synthetic
from neurojax.data.batching import Layout
from neurojax.data.sessions import Dataset, dataset_of, open_dataset
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.train import checkpoint, loop, settings, sharding
from neurojax.train.predictor import Predictor


def load_data(config: Mapping[str, Any]) -> Dataset:
    """The dataset a config names: converted sessions under data.root, or the built-in synthetic animals."""
    if config["data"]["root"]:
        return open_dataset(Path(config["data"]["root"]))
    spec = dict(config["data"]["synthetic"])
    known = synthetic.SyntheticSpec.__dataclass_fields__
    unknown = sorted(set(spec) - set(known))
    if unknown:
        raise InputError(
            f"config.data.synthetic.{unknown[0]} is not known; choose from {', '.join(sorted(known))}"
        )
    spec = {name: tuple(value) if isinstance(value, list) else value for name, value in spec.items()}
    return dataset_of(synthetic.make_sessions(synthetic.SyntheticSpec(**spec), seed=config["seed"]))


def read_run(workdir: Path) -> dict[str, Any]:
    """config.json of a run; raises InputError when the folder is no run."""
    path = Path(workdir) / "config.json"
    if not path.is_file():
        raise InputError(f"{workdir} holds no run (no config.json); give the --workdir of a `neurojax train`")
    return read_json(path)


def load_predictor(
    workdir: Path, config: Mapping[str, Any], dataset: Dataset, log: Callable[[str], None] = print
) -> tuple[Predictor, dict[str, Any]]:
    """The newest sound checkpoint of a run as a predictor, and its manifest."""
    recipe = settings.recipe(config, dataset)
    mesh = sharding.make_mesh(config["sharding"]["data"], config["sharding"]["model"])
    abstract = loop.abstract_state(recipe, dataset, mesh)
    restored = checkpoint.restore_latest(Path(workdir) / "checkpoints", abstract, log=log, quarantine=False)
    if restored is None:
        raise InputError(f"{workdir} holds no checkpoint; run `neurojax train` with this workdir first")
    state, manifest = restored
    layout = Layout.of(dataset.sessions)
    make = functools.partial(Predictor, mesh=mesh)
    return make(state.params, state.tables, recipe.model, layout, config["data"]["bucket_units"]), manifest


def devices() -> str:
    """`2 x cpu` for the log."""
    found = jax.devices()
    return f"{len(found)} x {found[0].device_kind.lower()}"
