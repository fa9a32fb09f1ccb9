"""`neurojax export`: a run's weights as a folder to share, with its model card."""

import shutil
from pathlib import Path
from typing import Any

from neurojax.api import membership, model_card
from neurojax.api.pretrained import Pretrained
from neurojax.errors import InputError, require
from neurojax.files import (
    held,
    publish_folder,
    read_json,
    remove_leftovers,
    require_writable,
    temporary_folder,
)
from neurojax.finetune import adapters, release, safetensors_file, weights
from neurojax.runs.progress import Progress
from neurojax.train import run_folder


def export(folder: Path, *, out: Path, licence: str | None = None) -> None:
    """Writes the files of `finetune.release` into `out`, all at once.

    Args:
        folder: workdir of a run.
        out: a new folder, or an earlier export, which is replaced; or a link to such a folder.
        licence: of the weights.

    Raises:
        InputError: no run, no sound checkpoint, human data without a stated licence, or `out` holds
            other files.
    """
    folder, out = Path(folder), _replaceable(Path(out).absolute())
    require_writable(out.parent, folder=True)
    safetensors_file.library()  # told before anything is computed
    found = adapters.merged(weights.read_run(folder))
    model_card.require_licences(found.entries)
    path = folder / "evaluation.json"
    evaluation = read_json(path) if path.is_file() else None
    # a damaged evaluation is told before anything is computed
    model_card.write(found, evaluation, licence)
    measured = _measured_membership(found)
    card = model_card.write(found, evaluation, licence, measured)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out.parent, out.name)
    temporary = temporary_folder(out)
    try:
        with held(temporary):
            release.write(temporary, found, card, licence, measured)
            publish_folder(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    total = sum(path.stat().st_size for path in out.iterdir())
    print(
        f"wrote {len(found.entries)} sessions' model of step {found.step:,} ({total / 1e6:.1f} "
        f"MB) to {out}"
    )


def _replaceable(out: Path) -> Path:
    """`out`, or what it links to; raises InputError unless that is new, empty, or an earlier export
    and no more."""
    if out.is_symlink():
        require(out.exists(), f"{out} is a link to nothing; name the folder itself with --out")
        out = out.resolve()
    require(
        not out.exists()
        or (out.is_dir() and {path.name for path in out.iterdir()} <= set(release.FILES)),
        f"{out} holds other files than an export; choose a new folder for --out",
    )
    require(
        not out.is_dir() or not any(out.iterdir()) or release.was_exported(out),
        f"{out} is not empty and no export of neurojax; choose a new folder for --out",
    )
    return out


def _measured_membership(found: weights.Weights) -> dict[str, Any]:
    """The membership check, on the recordings the run was trained on where they can still be
    read."""
    try:
        sessions = run_folder.load_data(found.config).sessions
    except InputError as error:
        print(f"whether training trials can be told from test trials is not measured: {error}")
        reason = "the recordings of the run could not be read"
        return {"auc": None, "reason": reason, "sessions": {}}
    with Progress(len(found.entries), "membership", unit="sessions") as progress:
        measured = membership.measure(Pretrained(found), sessions, progress.update)
    print(" ".join(membership.lines(measured)[:1]))
    return measured
