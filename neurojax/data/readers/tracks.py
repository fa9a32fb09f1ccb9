"""Keypoints that a tracker found in a video: DeepLabCut, SLEAP and Lightning Pose through
`movement`, or plain arrays."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.store.array_files import read_npz
from neurojax.errors import InputError, require

SOFTWARE = {"deeplabcut": "DeepLabCut", "sleap": "SLEAP", "lightning_pose": "LightningPose"}
ARRAYS = "arrays"
_MOST_SURE = 1.5  # scores of SLEAP rise a little above 1; shares in per cent are no confidences
_FURTHEST_PX = 1e6


class Tracked(NamedTuple):
    """Attributes:
    keypoints_px: float64 [T, K, 2], NaN where nothing was found.
    confidence: float64 [T, K], in [0, 1].
    names: of the keypoints.
    """

    keypoints_px: np.ndarray
    confidence: np.ndarray
    names: tuple[str, ...]


def read(path: Path, software: str, individual: str | None = None) -> Tracked:
    """Tracks of one animal of one video.

    Args:
        path: .csv of DeepLabCut and Lightning Pose, .h5 (analysis) or .slp of SLEAP; of `arrays` an
            .npz with `keypoints_px` [T, K, 2], `confidence` [T, K] and `names` [K].
        software: of SOFTWARE, or `arrays`.
        individual: animal, where the file holds several.

    Raises:
        InputError: no such file, another kind of file, several animals and none named, or tracks
            in three dimensions.
    """
    require(path.is_file(), f"{path} is no file; give the tracks of a video")
    if software == ARRAYS:
        return _checked(path, *_arrays(path))
    require(
        software in SOFTWARE,
        f"--software={software}; expected {', '.join(SOFTWARE)} or {ARRAYS}",
    )
    # Tables of DeepLabCut in .h5 hold pickled objects, which are never loaded.
    require(
        software == "sleap" or path.suffix == ".csv",
        f"{path} is not a .csv; save the tracks of {SOFTWARE[software]} as .csv "
        "(DeepLabCut: save_as_csv=True, or analyze_videos_converth5_to_csv)",
    )
    missing = (
        f'{path}: tracks are read by movement, which is not here; pip install "neurojax[tracks]"'
    )
    load = getattr(needed("movement.io", missing), "load_dataset", None)
    if load is None:  # its name before load_dataset came
        load = needed("movement.io.load_poses", missing).from_file
    needed("loguru", missing).logger.disable("movement")  # what is wrong is said once, below
    try:
        found = load(path, source_software=SOFTWARE[software])
    except Exception as error:  # whatever the parsers under it raise of a damaged file
        said = str(error).strip() or type(error).__name__
        raise InputError(
            f"{path}: not read as tracks of {SOFTWARE[software]} ({said.splitlines()[0]})"
        ) from None
    # Dimensions of several things had the plural as their name before movement 0.17.
    found = found.rename({n: n[:-1] for n in ("individuals", "keypoints") if n in found.dims})
    animals = [str(name) for name in found.individual.values]
    require(
        individual in animals if individual is not None else len(animals) == 1,
        f"{path} tracks {', '.join(animals)}; name one with --individual"
        + ("" if individual is None else f", not {individual}"),
    )
    one = found.sel(individual=individual or animals[0])
    axes = [str(name) for name in one.space.values]
    require(
        axes == ["x", "y"],
        f"{path} has the axes {', '.join(axes)}; expected x, y of one camera",
    )
    position = one.position.transpose("time", "keypoint", "space").values
    confidence = one.confidence.transpose("time", "keypoint").values
    names = tuple(str(name) for name in one.keypoint.values)
    return _checked(path, position, confidence, names)


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    arrays = read_npz(path)
    missing = {"keypoints_px", "confidence", "names"} - set(arrays)
    require(
        not missing,
        f"{path} holds {', '.join(arrays) or 'nothing'}; expected keypoints_px "
        "[frames, keypoints, 2], confidence [frames, keypoints] and names [keypoints]",
    )
    names = tuple(map(str, np.ravel(arrays["names"])))
    return arrays["keypoints_px"], arrays["confidence"], names


def _checked(path: Path, keypoints_px, confidence, names: tuple[str, ...]) -> Tracked:
    try:
        keypoints_px = np.asarray(keypoints_px, np.float64)
        confidence = np.asarray(confidence, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{path}: keypoints or confidences are not numbers") from None
    require(
        keypoints_px.ndim == 3
        and keypoints_px.shape[2] == 2
        and confidence.shape == keypoints_px.shape[:2]
        and len(names) == len(set(names)) == keypoints_px.shape[1],
        f"{path}: keypoints {keypoints_px.shape}, confidences {confidence.shape} and names "
        f"{', '.join(names)}; expected [frames, keypoints, 2], [frames, keypoints] and a name each",
    )
    known = confidence[np.isfinite(confidence)]
    if not len(known):  # a tracker that says nothing of it
        return Tracked(keypoints_px, np.ones(confidence.shape), names)
    require(
        known.min() >= 0 and known.max() <= _MOST_SURE,
        f"{path}: confidences from {known.min():g} to {known.max():g}; expected 0 to 1",
    )
    far = np.nanmax(np.abs(keypoints_px), initial=0.0)
    require(far <= _FURTHEST_PX, f"{path}: a keypoint at {far:g} px; expected pixels of a video")
    return Tracked(keypoints_px, np.clip(confidence, 0, 1), names)
