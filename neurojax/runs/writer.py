"""metrics.jsonl: one JSON object a line, appended and flushed, cut back when a run resumes."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require
from neurojax.files import write_bytes

METRICS_NAME = "metrics.jsonl"


class MetricsWriter:
    """Appends to `<workdir>/metrics.jsonl`; first drops a half-written last line."""

    def __init__(self, workdir: Path | str):
        self.path = Path(workdir) / METRICS_NAME
        self._drop_torn_line()
        self._file = self._open()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes one line; numbers may be numpy or jax scalars, NaN and infinities become null."""
        line = json.dumps({"step": int(step), **_plain(values)}, allow_nan=False)
        # A deleted file still takes writes, into nowhere: it is opened anew under its name.
        if self._is_deleted():
            self.close()
            self._file = self._open()
        try:
            self._file.write(line + "\n")
            # A killed run loses at most the line it was writing.
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror}); check the disk"
            ) from None

    def truncate_after(self, step: int) -> float:
        """Drops the lines of steps after `step`, which a resumed run will write again; atomic.

        Returns:
            Seconds of training that the last line kept tells of, 0 where none does.
        """
        self._file.close()
        # Steps after the checkpoint will run again; their old lines would count twice.
        kept = [row for row in read_metrics(self.path.parent) if _step_of(row) <= step]
        write_bytes(self.path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = self._open()
        told = [row["time_s"] for row in kept if isinstance(row.get("time_s"), int | float)]
        return float(told[-1]) if told else 0.0

    def close(self) -> None:
        # tries again what `write` already reported; the rest is flushed
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _is_deleted(self) -> bool:
        """Whether the file was deleted under the run, perhaps with its folder."""
        try:
            return os.fstat(self._file.fileno()).st_nlink == 0
        except OSError:  # a network disk: another machine deleted it
            return True

    def _open(self):
        try:
            return self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror}); check the workdir"
            ) from None

    def _drop_torn_line(self) -> None:
        raw = self.path.read_bytes() if self.path.is_file() else b""
        if raw and not raw.endswith(b"\n"):
            write_bytes(self.path, raw[: raw.rfind(b"\n") + 1])


class SilentWriter:
    """What the other processes of a run write: nothing."""

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        pass

    def truncate_after(self, step: int) -> float:
        return 0.0

    def __enter__(self) -> "SilentWriter":
        return self

    def __exit__(self, *error) -> None:
        pass


def read_metrics(workdir: Path | str) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, oldest first, without a torn last line; none without a file.

    Raises InputError that names the line when any other is not a JSON object.
    """
    path = Path(workdir) / METRICS_NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the workdir") from None
    rows = []
    # what follows the last newline is torn
    for number, line in enumerate(raw.split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        require(
            isinstance(row, dict), f"{path} line {number} is not a JSON object; remove that line"
        )
        rows.append(row)
    return rows


def _step_of(row: Mapping[str, Any]) -> float:
    step = row.get("step")
    return step if isinstance(step, int | float) else -math.inf


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy and jax arrays and scalars
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
