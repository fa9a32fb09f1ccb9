"""Weights on disk, from a run or from an exported folder, with what has to be known to use them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.store import roster, trained_trials
from neurojax.errors import require
from neurojax.runs import restore, workdir
from neurojax.train import run_folder


class Weights(NamedTuple):
    """Attributes:
    arrays: path in the train state -> array ("params/...", "tables/...", "buffers/...", and, from a
        run, moments).
    config: the config of the run.
    table: see `batching.session_table`.
    entries: see `data.store.roster`.
    bin_size_s: seconds.
    num_bins: rows of the position table, or the longest trial of the run.
    step: steps trained.
    digest: hex digest of the weights: of the checkpoint's manifest, or of the exported file.
    origin: what these weights were themselves started from, None when from scratch.
    dataset_fingerprint: of the data the run was trained on.
    trained: what they were trained on, see `data.store.trained_trials`; None where not known.
    facts: see `facts.Facts.to_record`; None is that of spikes.
    """

    arrays: dict[str, np.ndarray]
    config: dict[str, Any]
    table: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    bin_size_s: float
    num_bins: int
    step: int
    digest: str
    origin: dict[str, Any] | None
    dataset_fingerprint: str
    trained: trained_trials.Trained | None = None
    facts: dict[str, Any] | None = None

    def of_spikes(self) -> bool:
        """Whether the model reads spike counts and has rows for units."""
        if (self.facts or {}).get("num_channels"):
            return False
        return self.config.get("head", {}).get("name", "poisson") == "poisson"


def read_run(folder: Path, log: Callable[[str], Any] = print) -> Weights:
    """The newest sound checkpoint of a workdir.

    Raises:
        InputError: the folder is no run, has no checkpoint that is whole, or a config that is not
            the checkpoint's.
    """
    config = run_folder.read_run(folder, workdir.OF_WEIGHTS)
    arrays, manifest = restore.load_arrays(folder / "checkpoints", log=log)
    workdir.require_own_config(folder, config, manifest)
    path = folder / roster.ROSTER_NAME
    require(path.is_file(), f"{path} is gone; repeat the train command, which writes it again")
    entries = roster.read(path)
    require(
        rows_of(entries) == manifest["sessions"],
        f"{path} lists other sessions than the checkpoint; restore it",
    )
    return Weights(
        arrays=arrays,
        config=config,
        table=manifest["sessions"],
        entries=entries,
        bin_size_s=manifest["bin_size_s"],
        num_bins=manifest["num_bins"],
        step=manifest["step"],
        digest=manifest["manifest_sha256"],
        origin=manifest.get("init_from"),
        dataset_fingerprint=manifest["dataset_fingerprint"],
        trained=trained_trials.read(folder),
        facts=manifest.get("facts"),
    )


def rows_of(entries: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a roster -> the session table that a manifest keeps."""
    return [
        {name: entry[name] for name in ("session_id", "num_units", "units_sha256")}
        for entry in entries
    ]
