"""How a run is driven."""

import dataclasses

from neurojax.errors import require
from neurojax.ranges import at_least, check_ranges, one_of
from neurojax.train import sharding


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How a run is driven; none of this changes what is learned.

    Attributes:
        microbatches: parts a batch is computed in, one after another: less memory, see
            train.microbatches.
        steps_per_dispatch: steps sent to the devices at once, see train.dispatch; needs
            placement="device".
        log_every_steps: a line of metrics.jsonl.
        save_every_steps: a checkpoint; 0 saves only at the end.
        validate_every_steps: validation bits per spike; 0 never.
        keep_checkpoints: older ones are removed.
        max_skipped_in_a_row: the run aborts after so many non-finite steps.
        placement: "host" streams batches, "device" holds all counts on the device.
        num_threads: reader threads of the host path.
        mesh_data, mesh_model: devices along each mesh axis; mesh_data=0 takes all that are left.
        rules: see train.sharding.
        patience: validations in a row without a better score, after which a run ends at its best;
            0 never, nor without validations.
        stop_by: the score that has to rise, as metrics.jsonl has it below "validation/".
    """

    microbatches: int
    steps_per_dispatch: int
    log_every_steps: int
    save_every_steps: int
    validate_every_steps: int
    keep_checkpoints: int
    max_skipped_in_a_row: int
    placement: str
    num_threads: int
    mesh_data: int
    mesh_model: int
    rules: tuple[sharding.Rule, ...]
    patience: int
    stop_by: str

    def __post_init__(self):
        check_ranges(self, "data.", RANGES_OF_DATA)
        check_ranges(self, "train.", RANGES)
        require(
            self.steps_per_dispatch == 1 or self.placement == "device",
            f"train.steps_per_dispatch={self.steps_per_dispatch} needs the counts on the device; "
            "set data.placement=device, or train.steps_per_dispatch=1",
        )
        require(
            not self.patience or self.stop_by,
            f"train.patience={self.patience} needs a score; set train.stop_by, or train.patience=0",
        )


RANGES = {
    "microbatches steps_per_dispatch log_every_steps keep_checkpoints": at_least(1),
    "max_skipped_in_a_row": at_least(1),
    "patience": at_least(0),
    "save_every_steps validate_every_steps": at_least(0, "expected 0 (off) or a number of steps"),
}
RANGES_OF_DATA = {
    "placement": one_of("host", "device", expected="choose 'host' or 'device'"),
    "num_threads": at_least(0, "expected 0 (no thread) or more"),
}
