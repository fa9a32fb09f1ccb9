"""How a run is driven."""

import dataclasses

from neurojax.errors import require, require_fields
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
    """

    microbatches: int = 1
    steps_per_dispatch: int = 1
    log_every_steps: int = 20
    save_every_steps: int = 500
    validate_every_steps: int = 0
    keep_checkpoints: int = 2
    max_skipped_in_a_row: int = 10
    placement: str = "host"
    num_threads: int = 1
    mesh_data: int = 0
    mesh_model: int = 1
    rules: tuple[sharding.Rule, ...] = ()

    def __post_init__(self):
        require(
            self.placement in ("host", "device"),
            f"data.placement={self.placement!r}; choose 'host' or 'device'",
        )
        positive = "microbatches steps_per_dispatch log_every_steps keep_checkpoints"
        every, or_off = "save_every_steps validate_every_steps", "0 (off) or a number of steps"
        rules = (
            (f"{positive} max_skipped_in_a_row", lambda n: n >= 1, "expected at least 1"),
            (every, lambda n: n >= 0, f"expected {or_off}"),
        )
        require_fields(self, "train.", rules)
        threads = ("num_threads", lambda n: n >= 0, "expected 0 (no thread) or more")
        require_fields(self, "data.", [threads])
        require(
            self.steps_per_dispatch == 1 or self.placement == "device",
            f"train.steps_per_dispatch={self.steps_per_dispatch} needs the counts on the device; "
            "set data.placement=device, or train.steps_per_dispatch=1",
        )
