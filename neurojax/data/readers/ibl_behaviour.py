"""Behaviour beside an ALF recording: the wheel, cameras, eye and face, and series asked for by
name; each on its own clock."""

import itertools

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers.alf_files import AlfFile, read_objects
from neurojax.data.readers.parts import BEHAVIOUR, leave_out
from neurojax.data.readers.positions import slope_in_bins
from neurojax.data.readers.signals import clean_signal, in_bins, require_shared_clock
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

_CLOCKS = ("timestamps", "times")
_VELOCITY, _POSITION = "wheel_velocity", ("wheel", "position")
# Behaviours that are read without being asked for: name -> object and attribute, the first that is
# sound.
_SOURCES = {
    _VELOCITY: (("wheel", "velocity"), _POSITION),
    "whisker_motion_energy": (
        ("leftCamera", "ROIMotionEnergy"),
        ("rightCamera", "ROIMotionEnergy"),
    ),
    "face_motion_energy": (("face", "motionEnergy"),),
    "pupil_area": (("eye", "area"),),
    "pupil_position": (("eye", "xyPos"),),
}
_SERIES = tuple(series for sources in _SOURCES.values() for series in sources)
OBJECTS = tuple(dict.fromkeys(name for name, _ in _SERIES))
# Names of the files behind them.
READ = {f"{name}.{part}" for name, part in (*_SERIES, *itertools.product(OBJECTS, _CLOCKS))}
_MAX_DIMS = 16


def read_behaviour(
    files: list[AlfFile], starts: np.ndarray, bin_size_s: float, spec: ReadSpec, where: str
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
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
    made: dict[str, np.ndarray] = {}
    have = {(file.object, file.attribute) for file in files}
    wanted = dict(_SOURCES)
    for asked in spec.behavior:
        name, _, attribute = asked.partition(".")
        known = sorted(f"{a}.{b}" for a, b in have if b not in _CLOCKS)
        require(
            (name, attribute) in have,
            f"{where}: behavior names {asked!r}, but the files are {', '.join(known)[:300]}",
        )
        wanted.setdefault(f"{name}_{attribute}", ((name, attribute),))
    for ours, sources in wanted.items():
        for source in [source for source in sources if source in have]:
            name, gap_s = ".".join(source), spec.max_gap_s
            said = f"{where}: {name}"
            is_place = ours == _VELOCITY and source == _POSITION
            try:
                times, values = _samples(files, *source, spec, where)
                if is_place:
                    times, values = clean_signal(times, values, said, odd, keep_unknown=True)
                    require_shared_clock(times, starts, bin_size_s, said)
                    made[ours] = slope_in_bins(times, values, starts, bin_size_s, gap_s, odd)
                else:
                    args = starts, bin_size_s, said, odd, gap_s
                    made[ours] = in_bins(times, values, *args)
                break
            except InputError as error:
                leave_out(odd, BEHAVIOUR, name, error, spec, where)
    if _VELOCITY in made:
        made.setdefault("wheel_speed", np.abs(made[_VELOCITY]))
    return made, odd


def _samples(
    files: list[AlfFile], name: str, attribute: str, spec: ReadSpec, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Times, float64 [samples], seconds, and values, [samples(, dims)], of a series."""
    said = f"{where}: {name}.{attribute}"
    of_object = [file for file in files if file.object == name]
    first = min(file.collection for file in of_object)  # of several tasks
    of_object = [file for file in of_object if file.collection == first]
    values = read_objects(of_object, name, (attribute,)).get(attribute)
    require(values is not None, f"{said} holds no numbers")
    require(
        values.ndim <= 2 and (values.ndim == 1 or values.shape[1] <= _MAX_DIMS),
        f"{said} is {list(values.shape)}, expected [samples] or [samples, up to {_MAX_DIMS}]",
    )
    clocks = [read_objects(of_object, name, (clock,)).get(clock) for clock in _CLOCKS]
    clock = next((stamps for stamps in clocks if stamps is not None), None)
    require(clock is not None, f"{said} has no {name}.timestamps beside it")
    unit_s = TimeUnit.of(spec.time_unit).behavior
    return in_seconds(_sample_times(clock, len(values)), unit_s), values


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
