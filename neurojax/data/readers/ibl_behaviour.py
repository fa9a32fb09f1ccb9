"""Behaviour beside an ALF recording: the wheel, cameras, eye and face, and series asked for by
name; each on its own clock."""

from collections.abc import Callable

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers.alf_files import AlfFile, read_objects
from neurojax.data.readers.parts import BEHAVIOUR, leave_out
from neurojax.data.readers.positions import slope_in_bins
from neurojax.data.readers.signals import clean_signal, mean_in_bins, require_shared_clock
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

CAMERAS = ("leftCamera", "rightCamera")
_CLOCKS = ("timestamps", "times")
# Series of other labs that are read without being asked for: object, attribute -> name.
_OTHERS = {
    ("face", "motionEnergy"): "face_motion_energy",
    ("eye", "area"): "pupil_area",
    ("eye", "xyPos"): "pupil_position",
}
OBJECTS = ("wheel", *CAMERAS, *dict.fromkeys(name for name, _ in _OTHERS))
# Names of the files behind them.
READ = {
    *(f"wheel.{name}" for name in ("position", "velocity")),
    *(f"{camera}.ROIMotionEnergy" for camera in CAMERAS),
    *(".".join(names) for names in _OTHERS),
    *(f"{name}.{clock}" for name in OBJECTS for clock in _CLOCKS),
}
_MAX_DIMS = 16
Made = dict[str, np.ndarray]


def read_behaviour(
    files: list[AlfFile], starts: np.ndarray, bin_size_s: float, spec: ReadSpec, where: str
) -> tuple[Made, dict[str, int]]:
    """Wheel velocity and speed (rad/s), whisker motion energy (left camera, else right), those of
    other labs, and every `object.attribute` that `spec.behavior` names.

    Args:
        files: of the session, without those of probes.
        starts: float64 [bins], start of every bin, seconds.
        bin_size_s: seconds.
        spec: `max_gap_s`, `time_unit` and `strict`.
        where: for messages.

    Returns:
        name -> float32 [bins, dims], NaN where not known; and what is odd or left out, name ->
        number.

    Raises:
        InputError: a series that was asked for is not there, or with `strict` one is of no use.
    """
    odd: dict[str, int] = {}
    made: Made = {}
    series = _Series(files, starts, bin_size_s, spec, where, odd)
    have = {(file.object, file.attribute) for file in files}
    if ("wheel", "position") in have or ("wheel", "velocity") in have:
        for name in ("velocity", "position"):
            read = series.mean if name == "velocity" else series.slope
            if ("wheel", name) in have and _try(
                made, "wheel_velocity", read, "wheel", name, series
            ):
                break
    if "wheel_velocity" in made:
        made["wheel_speed"] = np.abs(made["wheel_velocity"])
    for camera in CAMERAS:
        wanted = "whisker_motion_energy", series.mean, camera, "ROIMotionEnergy", series
        if (camera, "ROIMotionEnergy") in have and _try(made, *wanted):
            break
    for (name, attribute), ours in _OTHERS.items():
        if (name, attribute) in have:
            _try(made, ours, series.mean, name, attribute, series)
    for asked in spec.behavior:
        name, _, attribute = asked.partition(".")
        series_there = sorted(f"{a}.{b}" for a, b in have if b not in _CLOCKS)
        require(
            (name, attribute) in have,
            f"{where}: behavior names {asked!r}, but the files are {', '.join(series_there)[:300]}",
        )
        _try(made, f"{name}_{attribute}", series.mean, name, attribute, series)
    return made, odd


def _try(
    made: Made,
    ours: str,
    read: Callable[[str, str], np.ndarray],
    name: str,
    attribute: str,
    series: "_Series",
) -> bool:
    """Adds a behaviour to `made`, or tells why not; whether it was added."""
    try:
        made[ours] = read(name, attribute)
    except InputError as error:
        leave_out(series.odd, BEHAVIOUR, f"{name}.{attribute}", error, series.spec, series.where)
        return False
    return True


class _Series:
    """Reads series of one session into its bins."""

    def __init__(
        self,
        files: list[AlfFile],
        starts: np.ndarray,
        bin_size_s: float,
        spec: ReadSpec,
        where: str,
        odd: dict[str, int],
    ):
        self.files, self.starts, self.bin_size_s = files, starts, bin_size_s
        self.spec, self.where, self.odd = spec, where, odd

    def mean(self, name: str, attribute: str) -> np.ndarray:
        """float32 [bins, dims], means of the samples in each bin."""
        times, values = self._samples(name, attribute)
        return mean_in_bins(times, values, self.starts, self.bin_size_s, self.spec.max_gap_s)

    def slope(self, name: str, attribute: str) -> np.ndarray:
        """float32 [bins, dims], change per second of a position."""
        times, values = self._samples(name, attribute, keep_unknown=True)
        gap_s = self.spec.max_gap_s
        return slope_in_bins(times, values, self.starts, self.bin_size_s, gap_s, self.odd)

    def _samples(
        self, name: str, attribute: str, keep_unknown: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        said = f"{self.where}: {name}.{attribute}"
        of_object = [file for file in self.files if file.object == name]
        first = min(file.collection for file in of_object)  # of several tasks
        of_object = [file for file in of_object if file.collection == first]
        found = read_objects(of_object, name, (attribute,))
        require(attribute in found, f"{said} holds no numbers")
        values = found[attribute]
        require(
            values.ndim <= 2 and (values.ndim == 1 or values.shape[1] <= _MAX_DIMS),
            f"{said} is {list(values.shape)}, expected [samples] or [samples, up to {_MAX_DIMS}]",
        )
        clocks = [read_objects(of_object, name, (clock,)) for clock in _CLOCKS]
        clock = next((c[key] for c, key in zip(clocks, _CLOCKS, strict=True) if key in c), None)
        require(clock is not None, f"{said} has no {name}.timestamps beside it")
        times = in_seconds(
            _sample_times(clock, len(values)), TimeUnit.of(self.spec.time_unit).behavior
        )
        times, values = clean_signal(times, values, said, self.odd, keep_unknown)
        require_shared_clock(times, self.starts, self.bin_size_s, said)
        return times, values


def _sample_times(clock: np.ndarray, num_samples: int) -> np.ndarray:
    """Time of each sample, [samples]. ALF gives that of some samples alone, [n, 2] of the sample's
    number and its time, where they are evenly spaced."""
    if clock.ndim == 2 and clock.shape[1] == 1:
        return clock[:, 0]
    if clock.ndim != 2 or clock.shape[1] != 2 or len(clock) < 2:
        return clock
    number, time_s = np.asarray(clock, np.float64).T
    whole = (number == np.floor(number)).all() and (np.diff(number) > 0).all()
    if not whole or number[0] not in (0, 1) or number[-1] - number[0] != num_samples - 1:
        return clock  # refused with its shape
    return np.interp(np.arange(num_samples) + number[0], number, time_s)
