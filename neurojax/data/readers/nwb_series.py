"""Time series of an NWB file as behaviour: found by path or last name, scaled to their unit,
brought into bins."""

from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.readers.nwb_tables import not_among
from neurojax.data.readers.parts import BEHAVIOUR, leave_out
from neurojax.data.readers.signals import in_bins
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

_MAX_DIMS = 64
_MAX_VALUES = 2**28  # of one series, all dimensions
_BLOCK_SAMPLES = 2**20
_NOT_READ = f" (raw signals, and series with more than {_MAX_DIMS} numbers a sample, are not read)"


def series_of(file: Any) -> dict[str, Any]:
    """Time series of numbers by path, raw signals and pictures left out."""
    found = nwb_file.groups(file, "processing", "acquisition", "stimulus", "analysis")
    return {path: group for path, group in found if is_series(group) and _fits(group)}


def is_series(group: Any) -> bool:
    """Whether a group holds data and their times."""
    return "data" in group and ("timestamps" in group or "starting_time" in group)


def _fits(group: Any) -> bool:
    try:
        data = nwb_file.check_dataset(nwb_file.entry(group, "data"), "data")
    except InputError:
        return False
    return data.dtype.kind in "biuf" and (
        data.ndim == 1 or (data.ndim == 2 and data.shape[1] <= _MAX_DIMS)
    )


def read_behaviour(
    series: dict[str, Any], spec: ReadSpec, starts: np.ndarray, bin_size_s: float, where: str
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Last name of each series that was asked for -> float32 [bins, dims], NaN where it is not
    known; and what was odd, name -> number.

    A series that is damaged, or on another clock than the trials, is left out and told, unless
    `spec.strict`.

    Args:
        series: from `series_of`.
        spec: its `behavior` holds paths, ends of paths, last names, or containers of one series.
        starts: float64 [bins], start of every bin, seconds.
        bin_size_s: seconds.
        where: for messages.

    Raises:
        InputError: a name fits no series or several, or with `strict` a series is of no use.
    """
    made: dict[str, np.ndarray] = {}
    odd: dict[str, int] = {}
    for asked in spec.behavior:
        path = path_of(asked, series, where, "behavior", _NOT_READ)
        short = _name(path)
        name = short if short not in made else _name(path.replace("/", "_"))
        try:
            said = f"{where}, {path}"
            samples = _samples(series[path], spec, said)
            made[name] = in_bins(*samples, starts, bin_size_s, said, odd, spec.max_gap_s)
        except InputError as error:
            leave_out(odd, BEHAVIOUR, path, error, spec, where)
    return made, odd


def path_of(asked: str, series: dict[str, Any], where: str, option: str, remark: str = "") -> str:
    """The one path that a whole path, the end of one, or the name of a container of one series
    stands for."""
    wanted = asked.strip("/")
    fitting = (
        [path for path in series if path == wanted]
        or [path for path in series if path.endswith(f"/{wanted}")]
        or [path for path in series if f"/{wanted}/" in f"/{path}"]
    )
    require(
        len(fitting) <= 1,
        f"{where}: {option} {asked!r} fits {', '.join(sorted(fitting)[:20])}; give the whole path "
        "of one",
    )
    require(
        fitting,
        f"{where}: no time series {asked!r}; {not_among(asked, series)}{remark}",
    )
    return fitting[0]


def _name(path: str) -> str:
    """A name that a session folder takes."""
    letters = "".join(
        c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in path.rpartition("/")[2]
    )
    name = letters.lstrip(".-") or "series"
    return f"{name}_series"[:100] if name.endswith("_valid") else name[:100]


def _samples(group: Any, spec: ReadSpec, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Times float64 [samples], seconds, and values float64 [samples(, dims)] of a series."""
    data = nwb_file.check_dataset(nwb_file.entry(group, "data"), where)
    require(
        data.size <= _MAX_VALUES,
        f"{where} claims {data.size} values, expected at most {_MAX_VALUES}; thin it out",
    )
    scale, offset = scale_of(data)
    times = sample_times(group, len(data), TimeUnit.of(spec.time_unit).behavior, where)
    blocks = [data[first : first + _BLOCK_SAMPLES] for first in range(0, len(data), _BLOCK_SAMPLES)]
    values = np.concatenate(blocks).astype(np.float64) if blocks else np.empty(data.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return times, values * scale + offset


def scale_of(data: Any) -> tuple[float, float]:
    """What stored values are multiplied by and what is added then, as the schema says."""
    return _number(data, "conversion", 1.0), _number(data, "offset", 0.0)


def sample_times(group: Any, num_samples: int, tick_s: float | None, where: str) -> np.ndarray:
    """Time of each sample of a series, float64 [samples], seconds.

    Args:
        group: the series.
        num_samples: of its data.
        tick_s: seconds of one of its time stamps; its rate is in Hz whatever they are.
        where: for messages.
    """
    stamps = nwb_file.entry(group, "timestamps")
    if stamps is not None:
        nwb_file.check_dataset(stamps, f"{where}/timestamps")
        require(
            stamps.shape == (num_samples,) and stamps.dtype.kind in "iuf",
            f"{where} has {num_samples} samples, but timestamps {stamps.dtype} "
            f"{list(stamps.shape)}; it is damaged",
        )
        return in_seconds(stamps[()], tick_s)
    begin = nwb_file.entry(group, "starting_time")
    rate_hz = np.nan if begin is None else _number(begin, "rate", np.nan)
    start = (
        np.ravel(nwb_file.values(begin, f"{where}/starting_time"))
        if begin is not None
        else np.empty(0)
    )
    require(
        0 < rate_hz < 1e9
        and start.size == 1
        and start.dtype.kind in "iuf"
        and np.isfinite(start[0]),
        f"{where} has neither timestamps nor a starting_time with its rate in Hz",
    )
    return float(in_seconds(start, tick_s)[0]) + np.arange(num_samples) / rate_hz


def _number(dataset: Any, name: str, default: float) -> float:
    """A finite number among the attributes, `default` without it."""
    if name not in dataset.attrs:
        return default
    value = hdf5.scalar_attribute(dataset, name)
    require(
        isinstance(value, int | float | np.number) and np.isfinite(float(value)),
        f"{dataset.name}: its {name} is {str(value)[:40]!r}, expected a number; it is damaged",
    )
    return float(value)
