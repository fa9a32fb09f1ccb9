"""Sessions of responses to stimuli: the images once for all of them, and an index per trial.

<root>/dataset.json, <session>/    as of any dataset; a trial has one bin and the condition
                                   `stimulus`, the row of the image that was shown
<root>/stimuli/stimuli.json        schema, kinds of images, digests
<root>/stimuli/images.npy          float32, float16 or uint8 [images, C, H, W], mapped into memory
<root>/stimuli/kind.npy            int8 [images], which of the kinds each is of

What the animal did may stand beside the counts, one row a trial: `behaviour["state"]` [bins, F] and
`behaviour["pupil_center"]` [bins, 2], in the units a model is to read.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.array_files import open_npy, write_npy
from neurojax.data.store.dataset import Dataset, dataset_of, open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.errors import InputError, require
from neurojax.files import (
    as_path,
    publish_folder,
    read_json,
    sha256_file,
    temporary_folder,
    told,
    write_json,
)

FOLDER, INDEX_NAME, SCHEMA, KIND = "stimuli", "stimuli.json", 1, "images"
FILES = ("images.npy", "kind.npy")
STIMULUS, STATE, PUPIL = "stimulus", "state", "pupil_center"
MAX_KINDS, MAX_NAME, MAX_PIXELS = 100, 80, 1 << 24
_DTYPES = tuple(map(np.dtype, (np.float32, np.float16, np.uint8)))


@dataclasses.dataclass(frozen=True, eq=False)
class Stimuli:
    """Images that sessions refer to.

    Attributes:
        images: [images, C, H, W], mapped or in memory.
        kind: int8 [images], of `kinds`.
        kinds: names.
        digest: hex digest of images and kinds.
    """

    images: np.ndarray
    kind: np.ndarray
    kinds: tuple[str, ...]
    digest: str


@dataclasses.dataclass(frozen=True)
class StimulusDataset(Dataset):
    """A `Dataset` of responses and the stimuli that they are responses to."""

    stimuli: Stimuli = None

    @property
    def to_read(self) -> "StimulusDataset":
        """What a source reads."""
        return self

    @property
    def num_bytes(self) -> int:
        """Of responses and images."""
        return super().num_bytes + self.stimuli.images.nbytes


def of_images(images: np.ndarray, kind: np.ndarray, kinds: Sequence[str]) -> Stimuli:
    """Stimuli in memory; raises InputError for another shape, kind or value."""
    images, kind = np.asarray(images), np.asarray(kind)
    digest = hashlib.sha256(f"{images.dtype} {images.shape} {list(kinds)}".encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(kind, np.int8).data)
    made = Stimuli(images, kind.astype(np.int8), tuple(map(str, kinds)), digest.hexdigest())
    _require_sound(made, "stimuli")
    _require_finite(images, "stimuli")
    return made


def with_stimuli(sessions: Iterable[Session], stimuli: Stimuli) -> StimulusDataset:
    """A dataset of sessions that refer to stimuli.

    Raises:
        InputError: as `dataset_of`, and for trials of several bins, without an image, or test
            images that were shown in training, be it to another animal or as another row.
    """
    return _joined(dataset_of(sessions), stimuli)


def _joined(dataset: Dataset, stimuli: Stimuli) -> StimulusDataset:
    for session in dataset.sessions:
        _require_images(session, stimuli)
    _require_unseen(dataset.sessions, stimuli)
    fingerprint = hashlib.sha256(f"{dataset.fingerprint} {stimuli.digest}".encode()).hexdigest()
    return StimulusDataset(dataset.sessions, fingerprint, dataset.digests, stimuli)


def shown(session: Session) -> np.ndarray:
    """Row of the image of each trial, int64 [trials]."""
    return np.asarray(session.conditions[STIMULUS]).astype(np.int64)


def _require_images(session: Session, stimuli: Stimuli) -> None:
    name, number = session.session_id, len(stimuli.images)
    require(
        session.observation == "counts",
        f"session {name} holds real values; responses to stimuli are counts of one bin a trial",
    )
    require(
        (session.trial_num_bins == 1).all(),
        f"session {name} has trials of up to {session.trial_num_bins.max()} bins; expected one "
        "bin for each presentation of an image",
    )
    column = session.conditions.get(STIMULUS)
    whole = column is not None and np.asarray(column).dtype.kind in "iu"
    require(
        whole and column.min() >= 0 and column.max() < number,
        f"session {name} needs the condition {STIMULUS!r}, whole numbers below {number}, the "
        "number of images",
    )


def _require_unseen(sessions: Sequence[Session], stimuli: Stimuli) -> None:
    """All sessions train one core: an image that one was trained on is no test of another."""

    @functools.cache
    def content(row: int) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(stimuli.images[row]).data).digest()

    trained = {}
    for session in sessions:
        for row in np.unique(shown(session)[np.isin(session.split, (TRAIN, VALIDATION))]):
            trained.setdefault(content(int(row)), session.session_id)
    for session in sessions:
        tested = np.unique(shown(session)[session.split == TEST]).tolist()
        both = [row for row in tested if content(row) in trained]
        if both:
            raise InputError(
                f"session {session.session_id}: {len(both)} of the images of test trials were "
                f"shown in training, such as image {both[:1]} in session "
                f"{trained[content(both[0])]}; keep test images for the test of every session"
            )


def _require_sound(stimuli: Stimuli, where: str) -> None:
    images, kind, kinds = stimuli.images, stimuli.kind, stimuli.kinds
    require(
        images.ndim == 4 and images.dtype in _DTYPES and 0 not in images.shape,
        f"{where}: images are {images.dtype} {list(images.shape)}, expected float32, float16 or "
        "uint8 [images, channels, height, width]",
    )
    require(
        images[0].size <= MAX_PIXELS,
        f"{where}: images of {list(images.shape[1:])} are too large; scale them down",
    )
    names = 0 < len(kinds) <= MAX_KINDS and all(0 < len(one) <= MAX_NAME for one in kinds)
    require(
        names and kind.shape == images.shape[:1] and kind.min() >= 0 and kind.max() < len(kinds),
        f"{where}: expected a kind from 0 to {len(kinds) - 1} for each of {len(images)} images",
    )


def _require_finite(images: np.ndarray, where: str) -> None:
    """Raises InputError for an image with NaN or infinity; a few are read at a time."""
    for first in range(0, len(images) if images.dtype.kind == "f" else 0, 512):
        sound = np.isfinite(images[first : first + 512]).all((1, 2, 3))
        require(
            sound.all(),
            f"{where}: image {first + int(sound.argmin())} holds NaN or infinity; leave it out, or "
            "write the stimuli again",
        )


def write(dataset: StimulusDataset, root: Path | str) -> None:
    """Writes sessions and stimuli as a folder that `open_stimuli` reads; raises InputError where it
    cannot be written."""
    root = as_path(root, "root")
    folder = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = temporary_folder(root / FOLDER)
        for name, array in zip(FILES, (dataset.stimuli.images, dataset.stimuli.kind), strict=True):
            write_npy(folder / name, array)
        write_json(
            folder / INDEX_NAME,
            {
                "schema": SCHEMA,
                "kind": KIND,
                "kinds": list(dataset.stimuli.kinds),
                "digest": dataset.stimuli.digest,
                "sha256": {name: sha256_file(folder / name) for name in FILES},
            },
        )
        publish_folder(folder, root / FOLDER)
    except OSError as error:
        raise InputError(f"{root} cannot be written {told(error)}") from None
    for session in dataset.sessions:
        write_session(session, root)
    write_dataset_index(root)


def open_stimuli(root: Path | str) -> StimulusDataset:
    """Opens a folder that `write` made, every byte compared with its digest; images stay on disk.

    Raises:
        InputError: missing, damaged or forged, or sessions that do not refer to these images.
    """
    root = as_path(root, "root")
    path = root / FOLDER / INDEX_NAME
    require(path.is_file(), f"{root} has no {FOLDER}/{INDEX_NAME}; expected responses and stimuli")
    index = read_json(path)
    damaged = f"{path} or a file it names is damaged; write the stimuli again"
    kinds, digests = index.get("kinds"), index.get("sha256")
    require(
        index.get("schema") == SCHEMA and index.get("kind") == KIND,
        f"{path} has schema {str(index.get('schema'))[:40]}, expected {SCHEMA} of kind {KIND}",
    )
    named = isinstance(kinds, list) and all(isinstance(one, str) for one in kinds)
    require(named and isinstance(digests, dict) and isinstance(index.get("digest"), str), damaged)
    for name in FILES:
        there = root / FOLDER / name
        require(there.is_file() and sha256_file(there) == digests.get(name), damaged)
    images = open_npy(root / FOLDER / FILES[0], _DTYPES, 4)
    kind = open_npy(root / FOLDER / FILES[1], (np.dtype(np.int8),), 1)
    stimuli = Stimuli(images, np.asarray(kind), tuple(kinds), index["digest"])
    _require_sound(stimuli, str(path))
    _require_finite(images, str(path))
    return _joined(open_dataset(root, verify="full"), stimuli)
