"""The test items of a run on traces of cells, for its audit: see `of_units`."""

from collections.abc import Mapping
from typing import Any

from neurojax.data.session import TEST
from neurojax.data.sources.traces import standardised
from neurojax.data.store.dataset import Dataset
from neurojax.evals.audits import of_units
from neurojax.evals.audits.of_units import BOUNDS
from neurojax.evals.audits.parts import Part

__all__ = ["BOUNDS", "headline", "parts_of"]


def parts_of(
    model, dataset: Dataset, settings: Mapping[str, Any], seed: int, split: int = TEST
) -> list[Part]:
    """A part of each recording; cells that change in the train split are predicted."""
    del settings
    views = [standardised(session) for session in dataset.sessions]
    return of_units.parts_of(model, views, lambda view: view.counts.any(0), seed, "real", split)


def headline(record: Mapping[str, Any]) -> float | None:
    """The score of a run that is compared over seeds."""
    block = (record.get("traces") or {}).get("tasks", {}).get("co_smoothing", {})
    return block.get("r2")
