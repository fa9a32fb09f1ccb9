"""Files of a run that change together: all of them or none, whenever the process is killed.

    <workdir>/.begin/<name>        a new file, complete
    <workdir>/.begin/<name>.gone   a file that is to be removed

The folder gets its name in one rename: from then on the change is made. Files are then moved out of
it one by one. Where a kill left some behind, the next start moves on.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from neurojax.files import fsync_folder, held, publish_folder, temporary_folder, write_bytes

FOLDER_NAME = ".begin"
_GONE = ".gone"


def replace(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Replaces files of a folder that the caller holds, all or none; None removes one.

    Raises:
        OSError: nothing was changed, or the change is made and only its last part is left to
            `complete`.
    """
    folder = Path(folder)
    aside = temporary_folder(folder / FOLDER_NAME)
    try:
        with held(aside):
            for name, content in contents.items():
                is_gone = content is None
                write_bytes(aside / (name + _GONE if is_gone else name), content or b"")
            publish_folder(aside, folder / FOLDER_NAME)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    complete(folder)


def is_complete(folder: Path) -> bool:
    """Whether no start of this run was killed while its files changed."""
    return not (Path(folder) / FOLDER_NAME).is_dir()


def complete(folder: Path) -> None:
    """Moves on what a killed `replace` left; nothing where it left nothing."""
    folder = Path(folder)
    begun = folder / FOLDER_NAME
    if is_complete(folder):
        return
    for path in sorted(begun.iterdir()):
        if path.name.endswith(_GONE):
            (folder / path.name.removesuffix(_GONE)).unlink(missing_ok=True)
            path.unlink()
        elif path.name.startswith("."):  # of a writer that was killed
            path.unlink()
        else:
            os.replace(path, folder / path.name)
    fsync_folder(folder)
    begun.rmdir()
    fsync_folder(folder)
