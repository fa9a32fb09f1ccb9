"""Fine-tuning in memory: weights and one session in, weights that also know it out."""

import copy
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurojax.data.session import TRAIN, Session
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import Interrupted, require, whole_number
from neurojax.finetune import inherit, weights
from neurojax.finetune.weights import Weights
from neurojax.train import run

UNFREEZE_SHARE = 4  # gradual_unfreeze begins to train everything after one step in so many


@dataclasses.dataclass(frozen=True)
class Options:
    """See `Pretrained.adapt`."""

    steps: int
    strategy: str
    new_rows: str | None
    learning_rate: float | None
    most_passes: float
    seed: int

    def __post_init__(self):
        # whole numbers of NumPy would not be written to JSON
        steps = whole_number(self.steps, "steps", 0, "a whole number of training steps")
        object.__setattr__(self, "steps", steps)
        if self.new_rows is None:
            object.__setattr__(self, "new_rows", "pca" if steps else "closed_form")
        object.__setattr__(self, "seed", whole_number(self.seed, "seed", 0))
        rate = self.learning_rate
        require(
            rate is None or (isinstance(rate, int | float) and 0 < rate < float("inf")),
            f"learning_rate={rate!r}; expected a positive number",
        )
        passes = self.most_passes
        require(
            isinstance(passes, int | float) and 0 <= passes < float("inf"),
            f"most_passes={passes!r}; expected a number of passes, or 0 for all steps",
        )
        inherit.check_choices(self.block() | {"strategy": self.strategy})
        require(
            self.strategy != "lora",
            'strategy="lora" takes settings of its adapters; run neurojax train '
            "--config=configs/finetune.py --config.finetune.strategy=lora",
        )

    def block(self) -> dict[str, int | str]:
        """`config.finetune` of configs/finetune.py."""
        return {
            "strategy": self.strategy if self.steps else "none",
            "unfreeze_step": max(1, self.steps // UNFREEZE_SHARE),
            "new_rows": self.new_rows,
        }


def adapted(
    source: Weights, session: Session, options: Options, known_sessions: Sequence[Session] = ()
) -> Weights:
    """What `neurojax train --config=configs/finetune.py` makes of one session: a run in a folder
    that is read and removed.

    `train.run.train` and not `train_and_evaluate`: an evaluation takes longer than the training
    (31 s beside 20 s for one synthetic animal, `size=tiny`), and a session needs no test trial to
    be adapted to.

    Args:
        source: left as it is.
        session: with a train split.
        options: of the fine-tuning.
        known_sessions: of the source, for the alignment of new rows; may be empty.

    Raises:
        InputError: see `finetune.begin`; no training trial.
        Interrupted: after a signal; nothing is kept.
    """
    require(
        len(session.trials_of(TRAIN)),
        f"session {session.session_id} has no training trial; give it a split with some",
    )
    config, dataset = _config(source, options), dataset_of([session])
    with tempfile.TemporaryDirectory(prefix="neurojax-") as folder:
        try:
            run.train(
                config,
                folder,
                dataset=dataset,
                log=_silent,
                base=source,
                known_sessions=known_sessions,
            )
        except Interrupted:
            raise Interrupted(
                f"adapting to {session.session_id} was stopped by a signal; nothing is kept"
            ) from None
        return weights.read_run(Path(folder), _silent)


def _config(source: Weights, options: Options) -> dict[str, Any]:
    """The config of a fine-tuning run with nothing left open: what is learned as in the source,
    driven plainly."""
    config = copy.deepcopy(dict(source.config)) | {
        "seed": options.seed,
        "init_from": "",  # it starts from memory
        "finetune": options.block() | {"source_sha256": source.digest},
        "sharding": {"data": 0, "model": 1, "rules": []},
        "train": {
            "num_steps": max(1, options.steps),  # the strategy `none` takes none
            "most_passes": float(options.most_passes),
            "microbatches": 1,
            "steps_per_dispatch": 1,
            "log_every_steps": max(1, options.steps),
            "save_every_steps": 0,
            "validate_every_steps": 0,
            "keep_checkpoints": 2,
            "max_skipped_in_a_row": 10,
        },
    }
    config.setdefault("eval", {})  # an export has none, and nothing is evaluated here
    config["data"] |= {"placement": "host", "num_threads": 1}
    config["model"].pop("lora", None)  # adapters of the source are merged before it is started from
    if config["model"].get("positions") == "learned":
        config["model"]["num_positions"] = source.num_bins
    if options.learning_rate is not None:
        config["optimizer"]["learning_rate"] = float(options.learning_rate)
    return config


def _silent(line: str) -> None:
    """Takes a line of a log and keeps it to itself."""
