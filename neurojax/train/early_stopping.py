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

from neurojax.errors import require
from neurojax.runs import processes, restore
from neurojax.runs.manifest import steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train.config import LoopConfig

_VALIDATION = "validation/"
MARK = "train/stopped_early_best_step"  # in metrics.jsonl, where a run has ended early


class EarlyStopping:
    """Decides when a run ends.

    Attributes:
        best_step: step of the best score so far; None before the first. Its checkpoint is to
            stay until the run ends.
    """

    def __init__(self, config: LoopConfig, rows: Sequence[Mapping[str, Any]], first: int):
        """`rows`: of metrics.jsonl; `first`: step that a run goes on from."""
        self._patience, self._name = config.patience, config.stop_by
        self._key = f"{_VALIDATION}{self._name}"
        self._best, self.best_step, self._without = -math.inf, None, 0
        for row in rows:
            if row["step"] <= first and row.get(self._key) is not None:
                self.add(row["step"], row)
        marks = {row[MARK] for row in rows if MARK in row}
        self.has_ended = config.patience > 0 and first in marks

    @property
    def over(self) -> bool:
        """Whether the score has not risen for too long."""
        return self._patience > 0 and self._without >= self._patience

    def until_over(self, runs: Iterator[Any]) -> Iterator[Any]:
        """The runs of steps up to the one after which the score has not risen for too long."""
        return itertools.takewhile(lambda run: not self.over, runs)

    def add(self, step: int, scores: Mapping[str, Any]) -> bool:
        """Takes in the scores of a validation; True where they are the best so far; raises
        InputError where the score to stop by is not among them: such a run would never stop."""
        if not self._patience:
            return False
        names = [name.removeprefix(_VALIDATION) for name in scores if name.startswith(_VALIDATION)]
        require(
            names,
            f"train.patience={self._patience} has no trial of the validation split; make some, or "
            "set train.patience=0",
        )
        require(
            self._name in names,
            f"train.stop_by={self._name!r} is no score of the validation; choose from "
            f"{', '.join(names)}",
        )
        value = scores[self._key]
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
