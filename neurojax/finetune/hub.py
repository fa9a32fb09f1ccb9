"""Models of the Hugging Face hub: only the files of an export are fetched, and they are read with
distrust."""

import re
from pathlib import Path

from neurojax.errors import InputError
from neurojax.finetune import release

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def is_id(text: str) -> bool:
    """Whether a text has the form owner/name."""
    return _ID.fullmatch(text) is not None and ".." not in text and "--" not in text


def fetched(name: str, revision: str | None = None) -> Path:
    """The folder that holds a model of the hub, from its cache where it was fetched before.

    Args:
        name: owner/name.
        revision: branch, tag or commit; default: the newest.

    Raises:
        InputError: the extra is missing, or the hub gives no such model.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            f"{name} is no folder here; a model of the hub needs huggingface_hub: pip install "
            '"neurojax[hub]"'
        ) from None
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(release.FILES)
        )
    except Exception as error:  # no such model, no permission, no network: the library says which
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{name} is no folder here, and the hub did not give it ({said}); check the name"
        ) from None
    return Path(found)
