"""Reads fMRI with the pictures that were shown: .npz of betas or of runs, BIDS folders of NIfTI.

.npz   betas [trials, voxels] and picture [trials]; or bold [volumes, voxels], run [volumes], tr_s,
       event_run, event_onset_s, event_picture [events]. Optional: embedding [trials, E], split
       [trials], session [trials], region [voxels], subject_id, licence
BIDS   a folder sub-NAME: *_bold.nii.gz are runs, in the order of their names, with *_events.tsv
       beside them, or in the raw data for those of derivatives/ (onset, and stim_file or
       trial_type); read by nibabel (the extra `fmri`). Events without an onset or a picture (n/a)
       and runs without events are left out and counted

What a network for images says of the pictures comes by --options=embeddings=FILE, an .npz of
picture [P] and embedding [P, E]. Without it a picture is its own direction: names of categories. A
picture is of one split, by a hash of its name, so that people who saw it agree; categories are
split by run: the last one tests, the one before it validates.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import fmri_files, fmri_runs, one_file
from neurojax.data.readers.seen import npz_names
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.array_files import open_input, read_npz
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import require
from neurojax.files import sha256_file

VERSION = "fmri/2"
OPTIONS = {
    "window_s": "FROM:TO, seconds after an onset whose volumes are averaged; default 3:8; of runs",
    "embeddings": ".npz of picture [P] and embedding [P, E]; default: each name its own direction",
    "mask": ".nii of the voxels to keep, of BIDS; default those above half of the mean brightness",
    "licence": "of the recording, where the file does not say",
    "consent": "what the people agreed to, where the file does not say",
}
UNUSED = (
    *("bin_ms", "align", "window", "window_s", "behavior", "trial_columns"),
    *("time_unit", "max_gap_s", "silence", "strict"),
)
EXAMPLE = "fmri bids/sub-01 --out=data/fmri --options=window_s=3:8,embeddings=clip.npz"
_WINDOW_S = "3:8"
_SHARES = (0.7, 0.1)  # of pictures: train, validation; the rest tests
MOST_NAMES = 1000  # that each are a direction of their own
SECONDS_PER_TRIAL = 4.0  # of betas, where nothing says it: Natural Scenes Dataset


def find(path: str) -> list[str]:
    """Recordings of people at a path: .npz files, folders sub-NAME of BIDS; InputError if none."""
    place = Path(path)
    if place.is_dir() and place.name.startswith("sub-"):
        return [path]
    people = sorted(p for p in place.glob("sub-*") if p.is_dir()) if place.is_dir() else []
    people = [str(one) for one in people if fmri_files.runs_of(one)]
    return people or one_file.files_at(path, (".npz",))


def session_name(source: str) -> str:
    """The person."""
    return one_file.session_name(source)


def source_sha256(source: str) -> str:
    """Digest of every file that is read, with their names; not of embeddings and mask, whose paths
    the options name."""
    place = Path(source)
    if not place.is_dir():
        return one_file.source_sha256(source)
    digest = hashlib.sha256()
    for run in fmri_files.runs_of(place):
        events = fmri_files.events_of(run)
        for path in (run, *([] if events is None else [events])):
            open_input(path).close()
            digest.update(f"{run.relative_to(place)} {path.name} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """One person: real values [pictures shown, voxels], one bin a trial, with their embeddings.

    Raises:
        InputError: a file that cannot be read, arrays that disagree, or a picture without an
            embedding.
    """
    place = Path(source)
    arrays: dict[str, Any] = {} if place.is_dir() else read_npz(place)
    seconds, lost, silent = SECONDS_PER_TRIAL, {}, 0
    if place.is_dir() or "betas" not in arrays:
        asked = spec.option("mask")
        scans = (
            fmri_files.read_bids(place, asked)
            if place.is_dir()
            else fmri_files.of_arrays(arrays, source)
        )
        window = fmri_runs.window_of(spec.option("window_s", _WINDOW_S), source)
        values, kept = fmri_runs.responses(scans, window)
        picture, block = scans.picture[kept], scans.event_run[kept]
        seconds, silent = scans.tr_s, scans.num_silent
        lost = {
            "window reaches over its run": int((~kept).sum()),
            "no onset or no picture": scans.num_unknown,
        }
    else:
        values, picture, block = fmri_files.betas_of(arrays, source)
    embedding, is_named = _embeddings(arrays, picture, spec.option("embeddings"), source)
    if is_named and len(np.unique(block)) > 1:
        split, how = _by_run(block), "last run tests, the one before it validates"
    else:
        split, how = _by_picture(picture), "hash of the picture's name"
    if "split" in arrays and spec.split == "file":
        split, how = fmri_files.column(arrays, "split", len(values), "iu", source), "file"
    session = from_values(
        values,
        sampling_hz=1 / seconds,
        unit="a.u.",
        session_id=session_name(source),
        trial_start_bin=np.arange(len(values)),
        trial_num_bins=1,
        split=split,
        region=fmri_files.regions_of(arrays, values.shape[1], source),
        conditions={"picture": picture, "session": block},
        info={
            "subject_id": fmri_files.text(arrays, "subject_id") or session_name(source),
            "species": "human",
            "source": {"file": place.name},
            "licence": spec.option("licence") or fmri_files.text(arrays, "licence"),
            "consent": spec.option("consent"),
            "split_source": how,
            "trials_dropped": {why: number for why, number in lost.items() if number},
            "runs_dropped": {"no events.tsv": silent} if silent else {},
        },
    )
    known = np.isfinite(embedding).all(1)
    fields = {"behaviour": {"embedding": embedding}, "behaviour_valid": {"embedding": known}}
    return validate_session(session.with_fields(**fields))


def recognises(path: str) -> str | None:
    """What tells that a path holds fMRI with pictures."""
    place = Path(path)
    if place.suffix.lower() == ".npz":
        held = npz_names(place)
        for wanted in ({"betas", "picture"}, {"bold", "event_onset_s"}):
            if wanted <= held:
                return f"{place.name} with {' and '.join(sorted(wanted))}"
    if place.is_dir() and (found := fmri_files.runs_of(place)):
        return f"BIDS with {len(found)} runs, such as {found[0].name}"
    return None


def _embeddings(arrays, picture: np.ndarray, path: str | None, where: str):
    """(float32 [trials, E], whether a picture is its own direction)."""
    if path is not None:
        held = read_npz(Path(path))
        names = fmri_files.column(held, "picture", None, "iuU", path).astype(str)
        table = fmri_files.matrix(held, "embedding", len(names), path)
        order = np.argsort(names)
        again = order[1:][names[order[1:]] == names[order[:-1]]]
        first = order[np.searchsorted(names, names[again], sorter=order)]
        other = again[~(table[again] == table[first]).all(1)]
        require(
            not len(other),
            f"{path} has different embeddings of the picture {str(names[other][:1])[1:-1][:60]}; "
            "keep one",
        )
        place = np.searchsorted(names, picture, sorter=order).clip(max=len(names) - 1)
        known = names[order[place]] == picture
        require(
            known.all(),
            f"{path} has no embedding of {int((~known).sum())} pictures that {where} shows, such "
            f"as {str(picture[~known][:1])[:60]}; add them",
        )
        return table[order[place]], False
    if "embedding" in arrays:
        return fmri_files.matrix(arrays, "embedding", len(picture), where), False
    names, number = np.unique(picture, return_inverse=True)
    require(
        len(names) <= MOST_NAMES,
        f"{where} shows {len(names):,} different pictures and no embedding of them; give "
        "--options=embeddings=FILE.npz",
    )
    return np.eye(len(names), dtype=np.float32)[number], True


def _by_picture(picture: np.ndarray) -> np.ndarray:
    """A split of every trial by a hash of its picture's name."""
    drawn = {
        name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        for name in np.unique(picture).tolist()
    }
    share = np.array([drawn[name] for name in picture.tolist()])
    train, validation = _SHARES
    return np.where(share < train, TRAIN, np.where(share < train + validation, VALIDATION, TEST))


def _by_run(run: np.ndarray) -> np.ndarray:
    last = np.unique(run)[-2:]
    if len(np.unique(run)) == 2:
        return np.where(run == last[1], TEST, TRAIN)
    return np.where(run == last[1], TEST, np.where(run == last[0], VALIDATION, TRAIN))
