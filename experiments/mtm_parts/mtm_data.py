"""Recordings of the mtm_* experiments: synthetic animals, mice, a monkey, the repeated-site mice of the IBL.

    smoke   synthetic animals of two dozen units: seconds
    local   synthetic animals with known rates; mice of Steinmetz et al. 2019; mice of the Allen Institute; a monkey
    paper   the sessions of Zhang et al. 2024, fetched through ONE by `neurojax convert ibl`

Every function makes session folders below `runs` where they are not there yet.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from neurojax.data.readers import ibl_one
from neurojax.data.session import Session
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.synthetic.animals import make_session
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import require

sys.path.insert(0, str(Path(__file__).parents[1] / "yardstick"))
import recordings  # noqa: E402  where recordings come from, and how each becomes session folders

# Of Zhang et al. 2024: the five animals that no pretraining saw, by the first eight digits of their session ids.
IBL_HELD_OUT = ("5dcee0eb", "c7bf2d49", "03d9a098", "d57df551", "824cf03d")
IBL_OPTIONS = ("--options=regions=allen",)  # finest labels, every sorted unit: as in the paper
NUM_NEW = 4  # synthetic animals, 0 to 3, that no pretraining sees
NUM_ALLEN = 8  # of the mice that are not held back for confirmation, see recordings.HELD_BACK
SMALL = SyntheticSpec(
    num_sessions=1, min_units=24, max_units=24, regions=("VISp", "CA1"), min_region_units=8, num_trials=60, num_bins=20
)
# Every animal has the same number of units, so that one compiled program serves all of them.
ALIKE = SyntheticSpec(num_sessions=1, min_units=64, max_units=64, min_region_units=12, num_trials=200, num_bins=40)
SYNTHETIC_TARGETS = ("choice", "wheel_speed")
IBL_TARGETS = ("choice", "whisker_motion_energy")


def written(sessions: Iterable[Session], root: Path) -> Path:
    """A folder of sessions, made once."""
    if not (root / "dataset.json").exists():
        for session in sessions:
            write_session(session, root)
        write_dataset_index(root)
    return root


def synthetic(spec: SyntheticSpec, numbers: Sequence[int], root: Path) -> Path:
    """Animals of these numbers; animal k follows from (spec, 0, k) alone."""
    return written((make_session(spec, 0, number) for number in numbers), root)


def folder_of(name: str, runs: Path) -> Path:
    """Folder of the sessions of a part: small, animals, mice, three_mice, allen, monkey or ibl."""
    root = runs / "data" / name
    if name in ("small", "animals"):
        spec, number = (SMALL, 2) if name == "small" else (SyntheticSpec(), 4)
        return synthetic(spec, range(number), root)
    if name in ("mice", "three_mice"):  # `convert` skips what is there; an interrupted one may have left out the rest
        sources = _steinmetz() if name == "mice" else _first_of_each(_steinmetz())
        files = [_with_choice(path, runs / "data" / "with_choice") for path in sources]
        recordings.step("convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20", "--split=file")
        return root
    if name == "allen":
        return recordings.allen(root, recordings.allen_order()[:NUM_ALLEN])
    if name == "monkey":
        return recordings.chewie(root, recordings.DAYS[0])
    require(
        name == "ibl",
        f"no recordings are called {name!r}; choose small, animals, mice, three_mice, allen, monkey or ibl",
    )
    return ibl(_held_out_ids(runs)[:1], root)


def new_animals(size: str, runs: Path) -> dict[str, Path]:
    """Animals that no pretraining sees -> folder of the session of each."""
    below = runs / "data" / "held_out"
    if size == "paper":
        return {name: ibl([name], below / name) for name in _held_out_ids(runs)}
    spec, number = (SMALL, 1) if size == "smoke" else (ALIKE, NUM_NEW)
    return {f"synthetic-{k}": synthetic(spec, [k], below / f"synthetic-{k}") for k in range(number)}


def pretraining(size: str, number: int, runs: Path) -> Path:
    """Folder of so many sessions to pretrain on; a larger one holds the smaller ones."""
    root = runs / "data" / "held_out" / f"pretraining_{number}"
    if size == "paper":
        return ibl(_other_ids(runs)[:number], root)
    return synthetic(SMALL if size == "smoke" else ALIKE, range(NUM_NEW, NUM_NEW + number), root)


def ibl(session_ids: Sequence[str], root: Path) -> Path:
    """Sessions of the IBL; `convert` skips those that are there."""
    if not (root / "dataset.json").exists():
        recordings.step("convert", "ibl", *session_ids, f"--out={root}", *IBL_OPTIONS)
    return root


def frozen_ids(runs: Path) -> list[str]:
    """The repeated-site sessions, listed once and then read from <runs>/data/ibl_sessions.txt."""
    path = runs / "data" / "ibl_sessions.txt"
    if not path.exists():
        found = ibl_one.repeated_site_sessions()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(found) + "\n")
    return ibl_one.read_eids(path)


def _held_out_ids(runs: Path) -> list[str]:
    listed = frozen_ids(runs)
    missing = [start for start in IBL_HELD_OUT if not any(one.startswith(start) for one in listed)]
    require(not missing, f"the repeated-site sessions have none that begins with {missing[:1]}; list them anew")
    return [one for start in IBL_HELD_OUT for one in listed if one.startswith(start)]


def _other_ids(runs: Path) -> list[str]:
    new = set(_held_out_ids(runs))
    return [one for one in frozen_ids(runs) if one not in new]


def _steinmetz() -> list[Path]:
    files = sorted((recordings.RECORDINGS / "steinmetz2019_sessions").glob("session*.npz"))
    require(files, f"no recordings in {recordings.RECORDINGS}; set NEUROJAX_DATA to the folder that holds them")
    return files


def _first_of_each(files: Sequence[Path]) -> list[Path]:
    """The earliest recording of each mouse."""
    first: dict[str, tuple[str, Path]] = {}
    for path in files:
        with np.load(path, allow_pickle=False) as file:
            subject, dated = str(file["subject"]), (str(file["date"]), path)
        first[subject] = min(first.get(subject, dated), dated)
    return sorted(path for _, path in first.values())


def choice_of(contrast_left: np.ndarray, contrast_right: np.ndarray, feedback: np.ndarray) -> np.ndarray:
    """The side a mouse chose: -1 left, 1 right, NaN where contrasts are equal and feedback does not tell.

    A success is the side of the higher contrast, a failure the other one; failures include trials without a movement,
    which the files do not tell apart.

    Args:
        contrast_left, contrast_right: [trials].
        feedback: [trials], 1 success, -1 failure.
    """
    side = np.sign(contrast_right.astype(float) - contrast_left)
    return np.where(side == 0, np.nan, side * feedback).astype(np.float32)


def _with_choice(source: Path, folder: Path) -> Path:
    """A copy of a recording with the column `choice`."""
    target = folder / source.name
    if not target.exists():
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        given = (arrays[name] for name in ("contrast_left", "contrast_right", "feedback"))
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(half := target.with_suffix(".half.npz"), **arrays, choice=choice_of(*given))
        half.replace(target)
    return target
