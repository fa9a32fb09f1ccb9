"""How far a run is: a live bar on a terminal, a plain line now and then anywhere else."""

import os
import sys
import time
from typing import TextIO

# Set in the kernel of a notebook and in the commands that its cells start. Its output looks like a
# terminal but keeps every redraw of a bar, so it gets plain lines.
NOTEBOOKS = (
    "JPY_PARENT_PID",
    "COLAB_RELEASE_TAG",
    "KAGGLE_KERNEL_RUN_TYPE",
    "DATABRICKS_RUNTIME_VERSION",
)


class Progress:
    """Context manager that shows steps per second, the time left and the newest values.

    Args:
        total_steps: the step at which the run ends.
        what: one word, "training".
        first: steps done before, from a checkpoint.
        unit: what is counted, in the plural.
        every_s: seconds between plain lines (the first and the last update always print one).
        stream: a terminal gets the bar; standard error by default.
        process_index: only process 0 shows anything; jax is asked when it is None.
    """

    def __init__(
        self,
        total_steps: int,
        what: str,
        first: int = 0,
        unit: str = "steps",
        every_s: float = 30.0,
        stream: TextIO | None = None,
        process_index: int | None = None,
    ):
        self.total_steps, self.what, self.first = total_steps, what, first
        self._unit, self._every_s = unit, every_s
        self._stream = stream or sys.stderr
        # jax is asked only if need be: the question alone starts its devices.
        self._silent = (_process_index() if process_index is None else process_index) != 0
        self._bar = self._task = None
        # time and step of the first update: compiling is not pace
        self._pace: tuple[float, int] | None = None
        self._last_line_s: float | None = None
        self._last_line = ""

    def __enter__(self) -> "Progress":
        if not self._silent and _redraws(self._stream):
            self._bar = _new_bar(self._stream)
            self._task = self._bar.add_task(
                self.what, total=self.total_steps, completed=self.first, values=""
            )
            self._bar.start()
        return self

    def __exit__(self, *error) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._last_line:
            self._print(self._last_line)

    def update(self, step: int, **values: float) -> None:
        """Shows `step` (steps done) and values such as loss=0.31."""
        if self._silent:
            return
        now = time.monotonic()
        text = self._describe(step, now, values)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, values=text)
            return
        # In a log file: one line now and then, and always the first and the last.
        line = f"{self.what} {step}/{self.total_steps}" + (f"  {text}" if text else "")
        if (
            self._last_line_s is None
            or now - self._last_line_s >= self._every_s
            or step >= self.total_steps
        ):
            self._last_line_s = now
            self._print(line)
        else:
            self._last_line = line

    def _describe(self, step: int, now: float, values: dict[str, float]) -> str:
        parts = [f"{name} {value:.4g}" for name, value in values.items()]
        # The first update comes after compiling, which is no pace.
        if self._pace is None:
            self._pace = (now, step)
        elif step > self._pace[1] and now > self._pace[0]:
            steps_per_s = (step - self._pace[1]) / (now - self._pace[0])
            parts.append(f"{steps_per_s:.3g} {self._unit}/s")
            if step < self.total_steps:
                parts.append(f"{_duration((self.total_steps - step) / steps_per_s)} left")
        return "  ".join(parts)

    def _print(self, line: str) -> None:
        self._last_line = ""
        print(line, file=self._stream, flush=True)


def _redraws(stream: TextIO) -> bool:
    """Whether what is written can be drawn over."""
    in_notebook = any(name in os.environ for name in NOTEBOOKS)
    return stream.isatty() and not in_notebook and os.environ.get("TERM") != "dumb"


def _new_bar(stream: TextIO):
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[values]}"),
    )
    return progress.Progress(*columns, console=Console(file=stream))


def _process_index() -> int:
    import jax

    return jax.process_index()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min"
        if hours
        else f"{minutes} min {seconds:02d} s"
        if minutes
        else f"{seconds} s"
    )
