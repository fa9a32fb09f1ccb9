"""What a config says of made-up data, read alike by all sources that can make some."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from neurojax.data import splits
from neurojax.data.session import Session
from neurojax.data.store.dataset import Dataset, dataset_of, open_dataset
from neurojax.errors import InputError, require

Spec = TypeVar("Spec")


def spec_of(kind: type[Spec], data: Mapping[str, Any]) -> Spec:
    """The entries of data.synthetic as a `kind`, a dataclass.

    Args:
        data: the `data` block of a config, whose root is empty.

    Raises:
        InputError: no such entries, or an unknown one.
    """
    entries = data.get("synthetic")
    require(
        isinstance(entries, Mapping),
        "data.root is empty, and this config makes no data; give --config.data.root=ROOT",
    )
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(entries) - known):
        raise InputError(
            f"config.data.synthetic.{unknown[0]} is not known; choose from "
            f"{', '.join(sorted(known))}"
        )
    return kind(**entries)


def stored_or_made(
    data: Mapping[str, Any],
    seed: int,
    kind: type[Spec],
    make: Callable[[Spec, int], Iterable[Session]],
) -> Dataset:
    """The recordings that a config names: a folder under data.root, or those that `make` makes of
    (spec, seed); with the share data.train_fraction of their training trials.

    Raises:
        InputError: no such folder, or as `spec_of`.
    """
    if data["root"]:
        dataset = open_dataset(data["root"], verify="full")
    else:
        dataset = dataset_of(make(spec_of(kind, data), seed))
    if (fraction := data["train_fraction"]) == 1:
        return dataset
    return dataset_of(splits.with_train_fraction(s, fraction, seed) for s in dataset.sessions)
