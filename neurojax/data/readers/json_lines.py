"""Text files that are read whole, and those of one JSON object a line."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require

MAX_BYTES = 256 << 20


def read_utf8(path: Path) -> tuple[str, str]:
    """(the text of a file, hex digest of its bytes).

    Raises:
        InputError: no such file, more than 256 MiB, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        require(size <= MAX_BYTES, f"{path} has {size:,} bytes, expected at most {MAX_BYTES:,}")
        content = path.read_bytes()
        return content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; save it as UTF-8") from None


def entries(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`file, line 3`, its object) of every line that is not blank; {} of JSON that is no object.

    Raises:
        InputError: a line that is no JSON.
    """
    # Not splitlines: JSON may hold other line ends, such as U+2028, within a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, entry_of(line, where)


def entry_of(line: str, where: str) -> dict[str, Any]:
    """The object of one line; {} of JSON that is no object.

    Raises:
        InputError: it is no JSON.
    """
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where} is no JSON; expected an object a line") from None
    return entry if isinstance(entry, dict) else {}
