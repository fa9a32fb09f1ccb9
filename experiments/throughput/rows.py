"""What is timed: shapes by name, and the comparisons that stand side by side in one run."""

import dataclasses

NUM_BINS, MEAN_COUNT = 100, 0.25  # bins of a trial, spikes per bin: as the IBL recordings


@dataclasses.dataclass(frozen=True)
class Shape:
    """One training step: the model (as configs/mtm.py spells it) and its batch.

    Attributes:
        model: entries of config.model.
        num_units: of every session.
        num_sessions: that own rows; each batch touches `sessions_per_batch` of them.
        trials: of a batch.
    """

    model: tuple[tuple[str, int | str], ...]
    num_units: int
    num_sessions: int = 1
    sessions_per_batch: int = 1
    trials: int = 16

    def replaced(self, **changes) -> "Shape":
        """With other fields; names that are not fields are entries of the model."""
        fields = {field.name for field in dataclasses.fields(self)}
        model = dict(self.model) | {name: value for name, value in changes.items() if name not in fields}
        return dataclasses.replace(
            self, model=tuple(model.items()), **{name: value for name, value in changes.items() if name in fields}
        )


def ndt1(width: int) -> Shape:
    """Read-in to `width` channels, one map to tokens, 5 layers, no shared embedder."""
    model = dict(read_in_width=width, embed_width=0, width=width, num_layers=5, num_heads=8, mlp_width=2 * width)
    return Shape(tuple(model.items()), num_units=668)


BENCH = ndt1(512)
PAPER = BENCH.replaced(read_in_width=668, embed_width=1336, num_units=676)
PARITY = {"bench_ndt1": BENCH, "mtm_paper": PAPER}  # what both sides are shown to compute alike
NARROW = ndt1(128).replaced(num_units=128, num_layers=2, num_heads=4)

WIDE_HALF = ndt1(1024).replaced(compute_dtype="bfloat16")

# comparison -> [(variant, side, shape)]; the first is what the others are divided by.
COMPARISONS: dict[str, list[tuple[str, str, Shape]]] = {
    "bench_ndt1": [
        ("torch", "torch", BENCH),
        ("neurojax", "neurojax", BENCH),
        ("neurojax, scanned", "neurojax", BENCH.replaced(unroll=1)),
        ("torch.compile", "compile", BENCH),
    ],
    "bench_ndt1_1024": [
        ("torch", "torch", ndt1(1024)),
        ("neurojax", "neurojax", ndt1(1024)),
        ("neurojax, scanned", "neurojax", ndt1(1024).replaced(unroll=1)),
    ],
    "mtm_paper": [("torch", "torch", PAPER), ("neurojax", "neurojax", PAPER)],
    "bench_ndt1_batch_256": [
        ("torch", "torch", BENCH.replaced(trials=256)),
        ("neurojax", "neurojax", BENCH.replaced(trials=256)),
    ],
    "bench_ndt1_bfloat16": [
        ("torch", "torch", BENCH.replaced(compute_dtype="bfloat16")),
        ("neurojax", "neurojax", BENCH.replaced(compute_dtype="bfloat16")),
    ],
    "mixed_sessions": [
        (f"{groups} of 16 sessions", "neurojax", BENCH.replaced(num_sessions=16, sessions_per_batch=groups))
        for groups in (1, 4, 16)
    ],
    "sessions_full_width": [
        (f"{number} sessions", "neurojax", PAPER.replaced(num_sessions=number)) for number in (1, 10, 39, 400)
    ],
    "sessions_narrow": [
        (f"{number} sessions", "neurojax", NARROW.replaced(num_sessions=number)) for number in (1, 10, 100, 1000, 4000)
    ],
    # For accelerators: no CPU holds these steps in seconds.
    "accelerator_batch_16": [("torch.compile", "compile", WIDE_HALF), ("neurojax", "neurojax", WIDE_HALF)],
    "accelerator_batch_256": [
        ("torch.compile", "compile", WIDE_HALF.replaced(trials=256)),
        ("neurojax", "neurojax", WIDE_HALF.replaced(trials=256)),
        ("neurojax, scanned", "neurojax", WIDE_HALF.replaced(trials=256, unroll=1)),
    ],
}
