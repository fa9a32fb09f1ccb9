"""A run on disk: its config, its data, its trained weights."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data import belongs, splits
from neurojax.data.store.dataset import Dataset, dataset_of, open_dataset
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError, require
from neurojax.facts import of_table
from neurojax.runs import restore, state_io, together, workdir
from neurojax.train import settings, sharding, state
from neurojax.train.predictor import Predictor


def load_data(config: Mapping[str, Any]) -> Dataset:
    """The dataset a config names: sessions under data.root, every byte of them compared with its
    checksum, or synthetic animals.

    With data.train_fraction below 1 the other training trials belong to no split.
    A source of something else than sessions opens it itself (`open_data`).
    """
    if (own := _opener(config, "open_data")) is not None:
        settings.entry(config["data"], "data", "root", str)
        settings.entry(config["data"], "data", "train_fraction", float)
        return own(config["data"], data_seed(config))
    return _thinned(config, _all_trials(config))


def _thinned(config: Mapping[str, Any], dataset: Dataset) -> Dataset:
    """The dataset with the share data.train_fraction of its training trials."""
    fraction = settings.entry(config["data"], "data", "train_fraction", float)
    if fraction == 1:
        return dataset
    seed = data_seed(config)
    return dataset_of(splits.with_train_fraction(s, fraction, seed) for s in dataset.sessions)


def data_of(config: Mapping[str, Any], root: Path | None, thinned: bool = False) -> Dataset:
    """The sessions under `root`, every byte compared with its checksum; None: `load_data`. A
    source of something else opens it itself (`open_other`). `thinned`: with data.train_fraction of
    the training trials, as the run saw them."""
    if root is None:
        return load_data(config)
    if (own := _opener(config, "open_other")) is not None:
        return own(Path(root))
    dataset = open_dataset(Path(root), verify="full")
    return _thinned(config, dataset) if thinned else dataset


def _opener(config: Mapping[str, Any], name: str) -> Callable | None:
    """A function of the config's source module, None where it reads session folders."""
    return getattr(settings.source_settings(config)[0], name, None)


def data_seed(config: Mapping[str, Any]) -> int:
    """The seed of data and of evaluation's draws: the run's, unless seeds share their data."""
    return config["data"].get("seed", config["seed"])


def _all_trials(config: Mapping[str, Any]) -> Dataset:
    if root := settings.entry(config["data"], "data", "root", str):
        return open_dataset(Path(root), verify="full")
    require(
        "synthetic" in config["data"],
        "data.root is empty, and this config makes no data; give --config.data.root=ROOT",
    )
    spec = dict(settings.entry(config["data"], "data", "synthetic", dict))
    known = synthetic.SyntheticSpec.__dataclass_fields__
    for name in sorted(spec):
        require(
            name in known,
            f"config.data.synthetic.{name} is not known; choose from {', '.join(sorted(known))}",
        )
    spec = {
        name: tuple(value) if isinstance(value, list) else value for name, value in spec.items()
    }
    return dataset_of(
        synthetic.make_sessions(synthetic.SyntheticSpec(**spec), seed=data_seed(config))
    )


def read_run(folder: Path, blocks: Sequence[str] = workdir.BLOCKS) -> dict[str, Any]:
    """config.json of a run with these blocks; raises InputError when the folder is no run."""
    if not (folder / workdir.CONFIG_NAME).is_file():
        seeds = sorted(path.parent for path in folder.glob(f"seed_*/{workdir.CONFIG_NAME}"))
        seed = f"name one of its seeds, such as {seeds[0]}" if seeds else ""
        hint = seed or "give the --workdir of a `neurojax train`"
        raise InputError(f"{folder} holds no run (no config.json); {hint}")
    require(
        together.is_complete(folder),
        f"{folder}: a start of this run was killed while its files changed; repeat the train "
        "command, which completes it",
    )
    config = workdir.read_config(folder)
    require(
        set(blocks) <= config.keys() or not (folder / workdir.EXPORT_NAME).is_file(),
        f"{folder} is an export, which has weights and no run; give the --workdir of the "
        "`neurojax train` it is from",
    )
    workdir.require_blocks(config, str(folder / workdir.CONFIG_NAME), blocks)
    return config


def _require_own_arrays(arrays: Mapping[str, Any], recipe, manifest: Mapping[str, Any]) -> None:
    """Raises InputError where a model of this version has other arrays than a run kept."""
    sizes = (manifest["sessions"], manifest["num_bins"], manifest["bin_size_s"])
    known = of_table(*sizes, manifest.get("facts"))
    shapes = state.abstract_trained(recipe.model, known, recipe.members)
    missing = sorted(state_io.named_leaves(shapes).keys() - arrays.keys())
    require(
        not missing,
        f"the run has no {missing[:1]}, which model.name={recipe.model.name} reads now: an older "
        "version made it; train it again",
    )


def load_predictor(
    folder: Path, config: Mapping[str, Any], dataset: Dataset, log: Callable[[str], None] = print
) -> tuple[Predictor, dict[str, Any]]:
    """A run's newest sound checkpoint as a predictor for a dataset, and its manifest.

    Raises:
        InputError: no checkpoint, another config than its own, a session the run has no rows for,
            other bins or channels, or longer trials than it can place.
    """
    # By name, without the state's class: weights of an older version load as long as names agree.
    arrays, manifest = restore.load_arrays(folder / "checkpoints", log=log)
    workdir.require_own_config(folder, config, manifest)
    weights = state_io.nested(arrays)
    recipe = settings.predicting(config)
    mesh = sharding.make_mesh(0, 1)  # whatever devices are here, not those it was trained on
    source, values = settings.source_settings(config)
    # Refused before anything is computed: a model runs on other bins, and its rates mean nothing.
    longest = belongs.longest_trial(config["model"], manifest["num_bins"])
    belongs.require_same_bins(dataset.sessions, manifest["bin_size_s"], longest)
    facts = manifest.get("facts")
    belongs.require_same_channels(dataset.sessions, (facts or {}).get("num_channels", 0))
    layout = source.rows_of(dataset.sessions, manifest["sessions"])
    if layout is not None:
        _require_own_arrays(arrays, recipe, manifest)
    parts = (
        weights.get("params"),
        weights.get("tables", {}),
        recipe,
        layout,
        getattr(values, "bucket_units", 1),
        mesh,
    )
    # Runs of before have no such entry.
    samples = settings.entry({"num_samples": 0} | config["eval"], "eval", "num_samples", int)
    more = {"source_config": values, "facts": facts, "num_samples": samples}
    return Predictor(*parts, weights.get("buffers"), **more), manifest
