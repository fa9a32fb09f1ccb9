"""Files of fMRI: arrays of .npz archives, NIfTI runs of BIDS with their events."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.readers import alf_text
from neurojax.data.readers.fmri_runs import Scans
from neurojax.data.store.array_files import open_input
from neurojax.errors import InputError, require

NO_NIBABEL = "NIfTI files are read by nibabel; pip install 'neurojax[fmri]'"
MAX_VOXELS, MAX_BYTES = 1 << 22, 1 << 33  # of a run, unpacked
MOST_PACKED = 400  # bytes that a byte of .nii.gz may stand for: more is no scan
MAX_TR_S = 5.0
BRIGHT = 0.5  # of the mean brightness: what is kept without a mask
_PICTURES = ("stim_file", "trial_type")
_NOT_KNOWN = ("", "n/a")  # of BIDS
_DERIVED = re.compile(r"_(space|res|den|desc|hemi)-[A-Za-z0-9]+")  # what processing adds to a name


def betas_of(arrays: Mapping[str, np.ndarray], where: str):
    """(values float32 [trials, voxels], picture str [trials], session [trials]) of an archive."""
    values = matrix(arrays, "betas", None, where)
    unknown = ~np.isfinite(values)
    require(
        not unknown.any(),
        f"{where}: betas has {int(unknown.sum()):,} numbers that are NaN or infinite, in "
        f"{int(unknown.any(0).sum()):,} of {values.shape[1]:,} voxels and "
        f"{int(unknown.any(1).sum()):,} of {len(values):,} trials; leave out these voxels or "
        "trials, a zero would be taken as a response",
    )
    picture = column(arrays, "picture", len(values), "iuU", where).astype(str)
    block = np.zeros(len(values), np.int64)
    if "session" in arrays:
        block = column(arrays, "session", len(values), "iu", where)
    return values, picture, block


def of_arrays(arrays: Mapping[str, np.ndarray], where: str) -> Scans:
    """Runs of an archive; InputError where arrays are missing or disagree."""
    wanted = ("bold", "run", "tr_s", "event_run", "event_onset_s", "event_picture")
    missing = [name for name in wanted if name not in arrays]
    require(
        not missing,
        f"{where} lacks {', '.join(missing)}; expected betas and picture, or {', '.join(wanted)}, "
        f"but it holds {', '.join(sorted(arrays))[:200]}",
    )
    bold = arrays["bold"]
    require(
        bold.ndim == 2 and bold.size and bold.dtype.kind in "iuf" and np.isfinite(bold).all(),
        f"{where}: bold is {bold.dtype} {list(bold.shape)}, expected finite numbers [volumes, "
        "voxels]",
    )
    run = column(arrays, "run", len(bold), "iu", where)
    require((np.diff(run) >= 0).all(), f"{where}: run goes back; put the runs in order")
    tr = arrays["tr_s"]
    require(tr.size == 1 and tr.dtype.kind in "iuf", f"{where}: tr_s is no number")
    picture = column(arrays, "event_picture", None, "iuU", where).astype(str)
    onset = column(arrays, "event_onset_s", len(picture), "iuf", where).astype(np.float64)
    require(
        np.isfinite(onset).all() and (np.abs(onset) < 1e6).all(),
        f"{where}: event_onset_s holds what is no time; expected seconds from the start of a run",
    )
    of_run = column(arrays, "event_run", len(picture), "iu", where)
    unknown = np.setdiff1d(of_run, run)
    require(not len(unknown), f"{where}: event_run names run {unknown[:1]}, which no volume is of")
    return Scans(bold, run, _tr(float(tr.reshape(())), where), of_run, onset, picture)


def runs_of(folder: Path) -> list[Path]:
    """NIfTI runs of a person, by name."""
    found = [*folder.rglob("*_bold.nii.gz"), *folder.rglob("*_bold.nii")]
    return sorted(path for path in found if path.is_file())


def events_of(run: Path) -> Path | None:
    """Where the events of a run stand: beside it, also under the name without what processing added
    (`_space-MNI_desc-preproc`), or where `derivatives` has the raw data beside it; None without."""
    name = run.name.split("_bold.nii")[0]
    names = [f"{name}_events.tsv", f"{_DERIVED.sub('', name)}_events.tsv"]
    places, parts = [run.parent], run.absolute().parts
    if "derivatives" in parts:
        place = len(parts) - 1 - parts[::-1].index("derivatives")
        places.append(Path(*parts[:place], *parts[place + 2 : -1]))  # without the pipeline's name
    found = (place / one for place in places for one in names)
    return next((path for path in found if path.is_file()), None)


def _events(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """(onset float64 [events], name str [events], rows without one of them) of an events.tsv."""
    head, *rows = alf_text.rows_of(path) or [[]]
    head = [cell.strip() for cell in head]
    require(
        all(len(row) == len(head) for row in rows) and len(set(head)) == len(head),
        f"{path} has rows of other lengths than its first line, or two columns of one name; "
        "correct the table",
    )
    table = {name: [row[place].strip() for row in rows] for place, name in enumerate(head)}
    told = [one for one in _PICTURES if any(c not in _NOT_KNOWN for c in table.get(one, ()))]
    require(
        told and "onset" in table,
        f"{path} has the columns {', '.join(table)[:100]}; expected onset (seconds) and stim_file "
        "or trial_type",
    )
    try:
        onset = [float("nan" if c in _NOT_KNOWN else c) for c in table["onset"]]
    except ValueError:
        raise InputError(f"{path} has an onset that is no number; expected seconds") from None
    onset, name = np.array(onset), np.array(table[told[0]])
    known = np.isfinite(onset) & (np.abs(onset) < 1e6) & ~np.isin(name, _NOT_KNOWN)
    return onset[known], name[known], int((~known).sum())


def read_bids(folder: Path, mask: str | None) -> Scans:
    """All runs of a person, the voxels of a mask alone.

    Raises:
        InputError: no run, no nibabel, a header that cannot be, runs of different shapes, one run
            in several spaces, no events, or events without onset and name.
    """
    found = runs_of(folder)
    require(found, f"{folder} holds no *_bold.nii.gz; check the path")
    events = {path: events_of(path) for path in found}
    runs = [path for path in found if events[path] is not None]
    require(runs, f"none of the {len(found)} runs of {folder} has an events.tsv; add them")
    of_events = {events[path]: path for path in reversed(runs)}
    for path in runs:
        require(
            of_events[events[path]] == path,
            f"{path.name} and {of_events[events[path]].name} are one run; keep one of them",
        )
    kept = None if mask is None else _read_nifti(Path(mask), 3)[0] != 0
    bold, number, of_run, onset, picture, tr_s, unknown = [], [], [], [], [], None, 0
    for place, path in enumerate(runs):
        volumes, own_tr = _read_nifti(path, 4)
        if kept is None:
            mean = volumes.mean(-1)
            kept = mean > BRIGHT * mean.mean()
        require(
            kept.shape == volumes.shape[:3] and kept.any(),
            f"{path} has voxels {list(volumes.shape[:3])}, the mask or the first run "
            f"{list(kept.shape)} with {int(kept.sum())} kept; align them",
        )
        tr_s = own_tr if tr_s is None else tr_s
        require(
            math.isclose(tr_s, own_tr, rel_tol=1e-3),
            f"{path} has a volume every {own_tr:g} s, {runs[0].name} every {tr_s:g} s; convert "
            "runs that agree",
        )
        bold.append(volumes[kept].T)
        number.append(np.full(volumes.shape[3], place))
        starts, names, lost = _events(events[path])
        onset.append(starts)
        picture.append(names)
        of_run.append(np.full(len(starts), place))
        unknown += lost
    parts = [np.concatenate(part) for part in (bold, number, of_run, onset, picture)]
    lost = unknown, len(found) - len(runs)
    return Scans(parts[0], parts[1], tr_s, parts[2], parts[3], parts[4], *lost)


def _read_nifti(path: Path, num_dims: int) -> tuple[np.ndarray, float]:
    """(float32 [X, Y, Z] or [X, Y, Z, volumes], seconds from volume to volume) of one file.

    The header is looked at before any memory is asked for.
    """
    nibabel = needed("nibabel", NO_NIBABEL)
    open_input(path).close()
    try:
        image = nibabel.load(path)
        shape, zooms = tuple(map(int, image.shape)), tuple(map(float, image.header.get_zooms()))
        kind = np.dtype(image.get_data_dtype())
    except Exception as error:  # whatever a header of random bytes leads a parser to
        raise InputError(
            f"{path} cannot be read as NIfTI ({type(error).__name__}); export it again"
        ) from None
    require(
        len(shape) == num_dims and min(shape) > 0 and kind.kind in "iuf",
        f"{path} holds {kind} {list(shape)}, expected real numbers of {num_dims} dimensions",
    )
    num_bytes = math.prod(shape) * kind.itemsize
    packed = path.stat().st_size
    require(
        math.prod(shape[:3]) <= MAX_VOXELS and num_bytes <= min(MAX_BYTES, MOST_PACKED * packed),
        f"{path} says {list(shape)} of {kind} in a file of {packed} bytes; it is damaged, or "
        "larger than what is read",
    )
    try:
        values = np.asarray(image.dataobj, np.float32)
    except Exception as error:
        raise InputError(
            f"{path} ends early or is damaged ({type(error).__name__}); copy it again"
        ) from None
    require(np.isfinite(values).all(), f"{path} holds NaN or infinity; mask these voxels with 0")
    return values, _tr(zooms[3], str(path)) if num_dims == 4 else 0.0


def _tr(seconds: float, where: str) -> float:
    require(
        0 < seconds <= MAX_TR_S,
        f"{where} says {seconds:g} s from volume to volume, expected up to {MAX_TR_S:g}; correct "
        "the TR",
    )
    return seconds


def column(arrays: Mapping[str, np.ndarray], name: str, length: int | None, kinds: str, where: str):
    """An array [length] of an archive; InputError for anything else."""
    held = arrays.get(name)
    fits = held is not None and held.ndim == 1 and held.size and held.dtype.kind in kinds
    require(
        fits and (length is None or len(held) == length),
        f"{where}: {name} is {'missing' if held is None else f'{held.dtype} {list(held.shape)}'}, "
        f"expected {'numbers or text' if 'U' in kinds else 'numbers'} "
        f"[{'any' if length is None else length}]",
    )
    return held


def matrix(arrays: Mapping[str, np.ndarray], name: str, length: int | None, where: str):
    """An array [length, any] of numbers as float32; InputError for anything else."""
    held = arrays.get(name)
    fits = held is not None and held.ndim == 2 and held.size and held.dtype.kind in "iuf"
    require(
        fits and (length is None or len(held) == length),
        f"{where}: {name} is {'missing' if held is None else f'{held.dtype} {list(held.shape)}'}, "
        f"expected numbers [{'any' if length is None else length}, any]",
    )
    with np.errstate(over="ignore"):
        return held.astype(np.float32)


def regions_of(arrays: Mapping[str, np.ndarray], number: int, where: str) -> Any:
    """Text [voxels], where an archive says it."""
    return column(arrays, "region", number, "U", where) if "region" in arrays else None


def text(arrays: Mapping[str, np.ndarray], name: str) -> str | None:
    """A text of an archive; None without it."""
    held = arrays.get(name)
    return str(held) if held is not None and held.ndim == 0 and held.dtype.kind == "U" else None
