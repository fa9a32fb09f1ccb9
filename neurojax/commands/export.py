"""`neurojax export`: a run's weights as a folder to share, with its model card."""

import tempfile
from pathlib import Path

from neurojax.errors import InputError
from neurojax.files import held, publish_folder, read_json, remove_leftovers, require_writable
from neurojax.transfer import model_card, release, weights


def export(folder: Path, *, out: Path, licence: str | None = None) -> None:
    """Writes model.safetensors, config.json, sessions.json and README.md into `out`, all at once.

    Args:
        folder: workdir of a run.
        out: a new folder, or an earlier export, which is replaced.
        licence: of the weights.

    Raises:
        InputError: no run, no sound checkpoint, human data without a stated licence, or `out` holds other files.
    """
    folder, out = Path(folder), Path(out).absolute()
    if out.exists() and (not out.is_dir() or {path.name for path in out.iterdir()} - set(release.FILES)):
        raise InputError(f"{out} holds other files than an export; choose a new folder for --out")
    if out.is_dir() and any(out.iterdir()) and not release.is_release(out):
        raise InputError(f"{out} is not empty and no export; choose a new folder for --out")
    require_writable(out.parent, folder=True)
    found = weights.read_run(folder)
    if found.entries is None:
        raise InputError(f"{folder} has no sessions.json, so the licences of its data are not known; train it again")
    model_card.require_licences(found.entries)
    evaluation = read_json(folder / "evaluation.json") if (folder / "evaluation.json").is_file() else None
    card = model_card.write(found, evaluation, licence)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out.parent, out.name)
    temporary = tempfile.TemporaryDirectory(
        prefix=f".{out.name}.", suffix=".tmp", dir=out.parent, ignore_cleanup_errors=True
    )
    with temporary as name, held(Path(name)):
        Path(name).chmod(0o755)
        release.write(Path(name), found, card, licence)
        publish_folder(Path(name), out)
    total = sum(path.stat().st_size for path in out.iterdir())
    print(f"wrote {len(found.entries)} sessions' model of step {found.step:,} ({total / 1e6:.1f} MB) to {out}")
