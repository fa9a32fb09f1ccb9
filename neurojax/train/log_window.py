"""Sums of steps become lines of metrics.jsonl, and a run that diverged stops."""

import contextlib
import time
from collections.abc import Iterator, Sequence

import numpy as np

from neurojax.data.sources.interface import Source
from neurojax.errors import InputError
from neurojax.runs.progress import Progress
from neurojax.runs.writer import MetricsWriter
from neurojax.train import flops
from neurojax.train.config import LoopConfig
from neurojax.train.step import Recipe


class Diverged(InputError):
    """Too many steps in a row had a loss or gradient that was not finite."""


class LogWindow:
    """Sums of the steps since the last line of metrics.jsonl."""

    def __init__(self, recipe: Recipe, config: LoopConfig, source: Source, devices: int):
        self._config, self._source = config, source
        self._trials = source.trials_per_batch
        self._summed = getattr(recipe.objective.module, "LOGGED_PER_TRIAL", ())
        self._peak = flops.peak_flops(devices)
        self._flops = flops.train_step_flops(recipe.model.config, self._trials, source.facts)
        self._start = time.monotonic()
        self._lines: list[dict] = []
        self._window_start = self._start
        self.steps_seen = 0

    def _per_trial(self) -> dict[str, float]:
        """`train/<name>_per_trial` of the sums that the objective names."""
        trials = sum(float(line["trials"]) for line in self._lines) if self._summed else 0.0
        return {
            f"train/{name}_per_trial": sum(float(line[name]) for line in self._lines) / trials
            for name in (self._summed if trials else ())
        }

    def add_earlier(self, seconds: float) -> None:
        """Counts what a run that goes on had trained for before it was stopped."""
        self._start -= seconds

    def elapsed_s(self) -> float:
        """Seconds of training, those before a stop among them."""
        return time.monotonic() - self._start

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside (validation) counts as no time of a step in trials_per_s and mfu."""
        begun = time.monotonic()
        yield
        self._window_start += time.monotonic() - begun

    def finish(self, steps: Sequence[dict], writer: MetricsWriter, progress: Progress) -> None:
        """Takes the last steps of the run; writes a line for what is left."""
        *before, last = steps
        for sums in before:
            self.add(sums, writer, progress)
        self.add(last, writer, progress, last=True)

    def add(
        self, sums: dict, writer: MetricsWriter, progress: Progress, last: bool = False
    ) -> None:
        """Takes one step's fetched sums; writes a line when the window is full."""
        self.steps_seen += 1
        self._lines.append(sums)
        if sums["skipped_in_a_row"] >= self._config.max_skipped_in_a_row:
            batch = progress.first + self.steps_seen - 1
            names = ", ".join(self._source.session_names(batch)[:5])
            raise Diverged(
                f"loss or gradient was not finite for {int(sums['skipped_in_a_row'])} steps in a "
                f"row, up to batch {batch}; lower optimizer.learning_rate or check the data (that "
                f"batch holds {names})"
            )
        step = progress.first + self.steps_seen
        if not last and step % self._config.log_every_steps:
            return
        now = time.monotonic()
        trials_per_s = len(self._lines) * self._trials / max(now - self._window_start, 1e-9)
        entries = sum(float(line["entries"]) for line in self._lines)
        values = {
            "time_s": now - self._start,
            **self._per_trial(),
            # Sums over sums: a mean of the steps' means would weigh their entries unequally.
            "train/nats_per_entry": sum(float(line["nll_sum"]) for line in self._lines)
            / max(entries, 1.0),
            "train/loss": float(np.mean([line["loss"] for line in self._lines])),
            "train/gradient_norm": float(self._lines[-1]["gradient_norm"]),
            "train/learning_rate": float(self._lines[-1]["learning_rate"]),
            "train/skipped_steps": sum(int(line["skipped"]) for line in self._lines),
            "trials_per_s": trials_per_s,
        }
        if self._peak and self._flops:
            values["mfu"] = self._flops * trials_per_s / self._trials / self._peak
        writer.write(step, values)
        progress.update(step, loss=values["train/nats_per_entry"])
        self._lines, self._window_start = [], now
