"""The test items of a run on spikes, for its audit: see `of_units`."""

from collections.abc import Mapping
from typing import Any

from neurojax.data.session import TEST
from neurojax.data.store.dataset import Dataset
from neurojax.evals import protocols
from neurojax.evals.audits import of_units
from neurojax.evals.audits.of_units import BOUNDS
from neurojax.evals.audits.parts import Part

__all__ = ["BOUNDS", "headline", "parts_of"]


def parts_of(
    model, dataset: Dataset, settings: Mapping[str, Any], seed: int, split: int = TEST
) -> list[Part]:
    """A part of each recording; units that the protocol scores are predicted."""
    protocol = protocols.get_protocol(settings["protocol"])
    return of_units.parts_of(
        model,
        dataset.sessions,
        lambda session: protocols.scored_units(session, protocol),
        seed,
        "counts",
        split,
    )


def headline(record: Mapping[str, Any]) -> float | None:
    """The score of a run that is compared over seeds: of the protocol's first task."""
    for block in (record.get("mean") or {}).values():
        value = block.get(block.get("headline", "bps_pooled"))
        return float(value) if isinstance(value, int | float) else None
    return None
