"""What a model may know of its data before the first batch."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Facts:
    """Sizes and means, made by a source (data.sources).

    Attributes:
        num_bins: T, bins of the longest trial.
        bin_size_s: seconds.
        units_per_session: units of every session the run has rows for, in row order; () without
            units.
        mean_counts: float32 [U], mean spikes per bin of each unit in the train split, positive;
            None without units.
        num_channels: C of a signal, 0 for spikes.
        num_classes: of the label that is predicted, 0 where there is none.
        class_names: of the label, in the order of the model's outputs; () where there is none.
        num_features: F, numbers that a model gets of each window in place of samples; 0 for none.
        num_targets: F, speech features of a bin that are predicted; 0 for none.
        feature_scale: mean and standard deviation of the features of a typical person, F numbers
            each; () where it is not known.
    """

    num_bins: int
    bin_size_s: float
    units_per_session: tuple[int, ...] = ()
    mean_counts: Any = None
    num_channels: int = 0
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    num_features: int = 0
    feature_scale: tuple[tuple[float, ...], ...] = ()
    num_targets: int = 0

    def to_record(self) -> dict[str, Any]:
        """What a manifest keeps beside its session table, bins and bin size."""
        sizes = {"num_channels": self.num_channels, "num_classes": self.num_classes}
        sizes |= {"num_features": self.num_features} if self.num_features else {}
        sizes |= {"num_targets": self.num_targets} if self.num_targets else {}
        return sizes | {"class_names": list(self.class_names)}


def of_table(
    table: Sequence[Mapping[str, Any]],
    num_bins: int,
    bin_size_s: float,
    record: Mapping[str, Any] | None = None,
) -> Facts:
    """Facts of weights on disk, for the shapes of a model; the means, which weights do not keep,
    are one.

    Args:
        table: `batching.session_table`.
        num_bins, bin_size_s: T, seconds.
        record: of `Facts.to_record`.
    """
    sizes = tuple(int(entry["num_units"]) for entry in table)
    known = dict(record or {})
    known["class_names"] = tuple(known.get("class_names", ()))
    return Facts(num_bins, bin_size_s, sizes, np.ones(sum(sizes), np.float32), **known)
