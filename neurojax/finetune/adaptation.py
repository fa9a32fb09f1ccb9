"""Fine-tuning in memory: weights and one session in, weights that also know it out."""

import copy
import dataclasses
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.data.session import TRAIN, Session
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.data.store.trained_trials import telling_digests
from neurojax.errors import Interrupted, require, whole_number
from neurojax.finetune import begin as finetune
from neurojax.finetune import inherit
from neurojax.finetune.weights import Weights
from neurojax.runs import state_io
from neurojax.train import loop, settings
from neurojax.train.config import LoopConfig
from neurojax.train.step import Recipe

UNFREEZE_SHARE = 4  # gradual_unfreeze begins to train everything after one step in so many


@dataclasses.dataclass(frozen=True)
class Options:
    """See `Pretrained.adapt`."""

    steps: int
    strategy: str
    new_rows: str
    learning_rate: float | None
    seed: int

    def __post_init__(self):
        # whole numbers of NumPy would not be written to JSON
        steps = whole_number(self.steps, "steps", 1, "a whole number of training steps")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "seed", whole_number(self.seed, "seed", 0))
        rate = self.learning_rate
        require(
            rate is None or (isinstance(rate, int | float) and 0 < rate < float("inf")),
            f"learning_rate={rate!r}; expected a positive number",
        )
        inherit.check_choices(self.block())

    def block(self) -> dict[str, int | str]:
        """`config.finetune` of configs/finetune.py."""
        return {
            "strategy": self.strategy,
            "unfreeze_step": max(1, self.steps // UNFREEZE_SHARE),
            "new_rows": self.new_rows,
        }


def adapted(
    source: Weights, session: Session, options: Options, known_sessions: Sequence[Session] = ()
) -> Weights:
    """What `neurojax train --config=configs/finetune.py` makes of one session, without a workdir.

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
    config = copy.deepcopy(dict(source.config)) | {
        "seed": options.seed,
        "finetune": options.block(),
    }
    config["train"] = {"num_steps": options.steps}
    if config["model"].get("positions") == "learned":
        config["model"]["num_positions"] = source.num_bins
    if options.learning_rate is not None:
        config["optimizer"]["learning_rate"] = float(options.learning_rate)
    dataset = dataset_of([session])
    tuning = finetune.begin_from(
        source, config, dataset, lambda config: known_sessions, log=_silent
    )
    try:
        arrays = trained(tuning.recipe, settings.source_settings(config), dataset, tuning.start)
    except Interrupted:
        raise Interrupted(
            f"adapting to {session.session_id} was stopped by a signal; nothing is kept"
        ) from None
    return source._replace(
        arrays=arrays,
        config=config,
        table=tuning.start.table,
        entries=tuning.entries,
        num_bins=max(source.num_bins, int(session.trial_num_bins.max())),
        step=options.steps,
        digest=_digest(arrays),
        origin=tuning.origin,
        dataset_fingerprint=dataset.fingerprint,
        trained=None
        if source.trained is None
        else source.trained | telling_digests(session, TRAIN).keys(),
    )


def trained(
    recipe: Recipe, batches: tuple[Any, Any], dataset: Dataset, start: loop.Start | None = None
) -> dict[str, np.ndarray]:
    """Arrays of the state after `recipe.num_steps`, by path; nothing stays on disk.

    Args:
        recipe, dataset, start: see `loop.train`.
        batches: what a batch is, of `settings.source_settings`.
    """
    driven = LoopConfig(save_every_steps=0, log_every_steps=recipe.num_steps)
    table, freeze = (None, None) if start is None else (start.table, recipe.freeze)
    new_until = freeze and (freeze.session_rows, freeze.until_step)
    module, values = batches
    source = module.open_source(dataset.sessions, values, recipe.seed, table, new_until)
    # the loop saves; here nothing is gone on from
    with tempfile.TemporaryDirectory(prefix="neurojax-") as folder:
        state = loop.train(recipe, source, driven, Path(folder), {}, _silent, start)
    return {
        name: np.asarray(leaf)
        for name, leaf in state_io.named_leaves(jax.device_get(state)).items()
    }


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _silent(line: str) -> None:
    """Takes a line of a log and keeps it to itself."""
