"""Early stopping: training ends once a score of the validation split has not risen for a while, and
goes back to where it was best.

What has been scored stands in metrics.jsonl, so that a run that was interrupted ends where it would
have ended.
"""

import itertools
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.runs import processes, restore
from neurojax.runs.manifest import steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train.config import LoopConfig

MARK = "train/stopped_early_best_step"  # in metrics.jsonl, where a run has ended early


class EarlyStopping:
    """Decides when a run ends.

    Attributes:
        best_step: step of the best score so far; None before the first.
        keep: checkpoints to keep, so that the best one is there when the run ends.
    """

    def __init__(self, config: LoopConfig, rows: Sequence[Mapping[str, Any]], first: int):
        """`rows`: of metrics.jsonl; `first`: step that a run goes on from."""
        self._patience, self._name = config.patience, config.stop_by
        self._best, self.best_step, self._without = -math.inf, None, 0
        for row in rows:
            if row["step"] <= first:
                self.add(row["step"], row)
        marks = {row[MARK] for row in rows if MARK in row}
        self.has_ended = config.patience > 0 and first in marks
        self.keep, every = config.keep_checkpoints, config.save_every_steps
        if self._patience:
            between = self._patience * config.validate_every_steps // every if every else 0
            self.keep += 1 + between

    @property
    def over(self) -> bool:
        """Whether the score has not risen for too long."""
        return self._patience > 0 and self._without >= self._patience

    def until_over(self, runs: Iterator[Any]) -> Iterator[Any]:
        """The runs of steps up to the one after which the score has not risen for too long."""
        return itertools.takewhile(lambda run: not self.over, runs)

    def add(self, step: int, scores: Mapping[str, Any]) -> bool:
        """Takes in the scores of a validation; True where they are the best so far."""
        value = scores.get(f"validation/{self._name}")
        if not self._patience or value is None:
            return False
        if value > self._best:
            self._best, self.best_step, self._without = value, step, 0
            return True
        self._without += 1
        return False

    def gone_back(
        self, checkpoints: Path, abstract: Any, saver: Any, writer: Any, log: Callable[[str], Any]
    ) -> Any | None:
        """The state of the best step where the run is over, later checkpoints removed; None where
        it is not, or where that checkpoint is gone, and nothing is removed.

        Args:
            checkpoints: folder of the run.
            abstract: shapes and places of the state.
            saver, writer: of checkpoints and of metrics.jsonl.
            log: takes one line.
        """
        if not self.over:
            return None
        saver.wait()
        steps, best = steps_on_disk(checkpoints), self.best_step
        if best not in steps:
            log(f"{self._name} rose last at step {best}, whose checkpoint is gone: it ends here")
            return None
        writer.write(best, {MARK: best})
        if processes.is_first():
            for later in (step for step in steps if step > best):
                shutil.rmtree(checkpoints / str(later))
        log(f"{self._name} rose last at step {best}: the run goes back there and ends")
        return restore.restore_latest(checkpoints, abstract, log=log, quarantine=False)[0]


def of_run(config: LoopConfig, workdir: Path, first: int) -> EarlyStopping:
    """The early stopping of a run that goes on from step `first`."""
    return EarlyStopping(config, read_metrics(workdir) if config.patience else (), first)
