"""A run on disk: its config, its data, its trained weights."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.commands.config import require_blocks
from neurojax.data import splits, synthetic
from neurojax.data.batching import Layout
from neurojax.data.sessions import Dataset, dataset_of, open_dataset
from neurojax.errors import InputError
from neurojax.train import checkpoint, settings, sharding, state_io, workdir
from neurojax.train.predictor import Predictor


def load_data(config: Mapping[str, Any]) -> Dataset:
    """The dataset a config names: converted sessions under data.root, or the built-in synthetic animals.

    With data.train_fraction below 1 the other training trials belong to no split.
    """
    dataset = _all_trials(config)
    fraction = settings.entry({"train_fraction": 1.0} | config["data"], "data", "train_fraction", float)
    if fraction == 1:
        return dataset
    return dataset_of(splits.with_train_fraction(session, fraction, data_seed(config)) for session in dataset.sessions)


def data_seed(config: Mapping[str, Any]) -> int:
    """The seed of the data and of evaluation's draws: that of the run, unless several seeds share their data."""
    return config["data"].get("seed", config["seed"])


def _all_trials(config: Mapping[str, Any]) -> Dataset:
    if root := settings.entry(config["data"], "data", "root", str):
        return open_dataset(Path(root))
    spec = dict(settings.entry(config["data"], "data", "synthetic", dict))
    known = synthetic.SyntheticSpec.__dataclass_fields__
    unknown = sorted(set(spec) - set(known))
    if unknown:
        raise InputError(f"config.data.synthetic.{unknown[0]} is not known; choose from {', '.join(sorted(known))}")
    spec = {name: tuple(value) if isinstance(value, list) else value for name, value in spec.items()}
    return dataset_of(synthetic.make_sessions(synthetic.SyntheticSpec(**spec), seed=data_seed(config)))


def read_run(folder: Path) -> dict[str, Any]:
    """config.json of a run; raises InputError when the folder is no run."""
    if not (folder / workdir.CONFIG_NAME).is_file():
        several = sorted(place.parent.name for place in folder.glob(f"seed_*/{workdir.CONFIG_NAME}"))
        hint = (
            f"name one of its seeds, such as {folder / several[0]}"
            if several
            else "give the --workdir of a `neurojax train`"
        )
        raise InputError(f"{folder} holds no run (no config.json); {hint}")
    return require_blocks(workdir.read_config(folder), str(folder / workdir.CONFIG_NAME))


def load_predictor(
    folder: Path, config: Mapping[str, Any], dataset: Dataset, log: Callable[[str], None] = print
) -> tuple[Predictor, dict[str, Any]]:
    """The newest sound checkpoint of a run, as a predictor for a dataset's sessions, and its manifest.

    Raises:
        InputError: no checkpoint, another config than its own, a session the run has no rows for, other bins, or longer
            trials than it can place.
    """
    arrays, manifest = checkpoint.load_arrays(folder / "checkpoints", log=log)
    workdir.require_own_config(folder, config, manifest)
    weights = state_io.nested(arrays)
    model = dataclasses.replace(settings.model_config(config, dataset), num_positions=manifest["num_bins"])
    mesh = sharding.make_mesh(0, 1)  # whatever devices are here, not those it was trained on
    layout = Layout.of(dataset.sessions, manifest["sessions"])
    if abs(dataset.bin_size_s - manifest["bin_size_s"]) > 1e-9:
        raise InputError(
            f"the data have bins of {dataset.bin_size_s * 1000:g} ms, the run was trained on "
            f"{manifest['bin_size_s'] * 1000:g} ms; convert them with --bin_ms={manifest['bin_size_s'] * 1000:g}"
        )
    if model.positions == "learned" and layout.num_bins > model.num_positions:
        raise InputError(
            f"the data have trials of up to {layout.num_bins} bins, the run learned {model.num_positions} positions; "
            "convert them with a shorter window"
        )
    bucket_units = settings.batching_config(config).bucket_units
    schemes = settings.masking_config(config).schemes
    return Predictor(weights["params"], weights["tables"], model, layout, bucket_units, mesh, schemes), manifest


def devices() -> str:
    """`2 x cpu` for the log."""
    found = jax.devices()
    return f"{len(found)} x {found[0].device_kind.lower()}"
