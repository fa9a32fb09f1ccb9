"""Behaviour with time stamps of its own, among the arrays of a file: `speed` beside
`speed_times_s` (or `speed_t`)."""

from typing import Any

import numpy as np

from neurojax.data.checks.findings import LEFT_OUT
from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers.roles import Axes
from neurojax.data.readers.signals import bin_starts, clean_signal, mean_in_bins
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

_SUFFIXES = ("_times_s", "_t")
_MAX_DIMS = 256

Timed = dict[str, tuple[np.ndarray, np.ndarray]]


def take_timed(arrays: dict[str, np.ndarray], axes: Axes, spec: ReadSpec) -> Timed:
    """Takes behaviours with times out of a file's arrays: name -> times [samples], values
    [samples(, dims)] or [dims, samples].

    Times with one value a trial stay, as columns of the trials; those ending in `_t` also where
    they have one a bin. Naming the behaviour in `spec.behavior` takes it as such.
    """
    found: Timed = {}
    for suffix in _SUFFIXES:
        for name in [key.removesuffix(suffix) for key in arrays if key.endswith(suffix)]:
            times, values = arrays[name + suffix], arrays.get(name)
            if values is None or times.ndim != 1 or times.dtype.kind not in "iuf":
                continue
            taken = {axes.num_trials} | ({axes.total_bins} if suffix == "_t" else set())
            if len(times) in taken and name not in spec.behavior:
                continue
            values = arrays.pop(name)
            mask = arrays.pop(f"{name}_valid", None)
            if mask is not None and mask.shape == times.shape and len(values) == len(times):
                values = values.astype(np.float64)
                values[~mask.astype(bool)] = np.nan
            found[name] = arrays.pop(name + suffix), values
    return found


def in_bins(
    timed: Timed,
    starts_s: np.ndarray,
    lengths: np.ndarray,
    bin_size_s: float,
    spec: ReadSpec,
    info: dict[str, Any],
    where: str,
) -> dict[str, np.ndarray]:
    """Behaviours in the bins of trials, float32 [total_bins, dims], NaN where unknown.

    One that cannot be used is left out; that and what is odd goes to `info["findings"]`.

    Args:
        timed: see `take_timed`.
        starts_s, lengths: [trials], seconds and bins.
        bin_size_s: seconds.
        spec: its time_unit, max_gap_s and strict.
        info: to be told.
        where: for messages.

    Raises:
        InputError: with `spec.strict`, one that cannot be used.
    """
    made = {}
    for name, (times, values) in timed.items():
        try:
            made[name] = _one(name, times, values, starts_s, lengths, bin_size_s, spec, info)
        except InputError as error:
            if spec.strict:
                raise InputError(f"{where}: {error}") from None
            left = f"{LEFT_OUT} ({str(error).partition(';')[0]})"
            info["findings"] = {**info.get("findings", {}), left: 1}
    return made


def _one(
    name: str,
    times: np.ndarray,
    values: np.ndarray,
    starts_s: np.ndarray,
    lengths: np.ndarray,
    bin_size_s: float,
    spec: ReadSpec,
    info: dict[str, Any],
) -> np.ndarray:
    fits = values.ndim == 1 or (values.ndim == 2 and len(times) in values.shape)
    require(
        fits and len(times) in values.shape and values.dtype.kind in "biuf",
        f"behaviour {name!r} is {values.dtype} {list(values.shape)}, but has {len(times)} times; "
        "give one time a sample",
    )
    laid = values if values.ndim == 1 or len(values) == len(times) else values.T
    require(
        laid.ndim == 1 or laid.shape[1] <= _MAX_DIMS,
        f"behaviour {name!r} has {laid.shape[-1]} dimensions, expected at most {_MAX_DIMS}",
    )
    odd: dict[str, int] = {}
    seconds = in_seconds(times, TimeUnit.of(spec.time_unit).behavior)
    clean_times, clean_values = clean_signal(seconds, laid, f"behaviour {name!r}", odd)
    require(len(clean_times), f"behaviour {name!r} has no sample with a time and a value")
    bins = bin_starts(starts_s, lengths, bin_size_s)
    binned = mean_in_bins(clean_times, clean_values, bins, bin_size_s, spec.max_gap_s)
    first, last = clean_times[[0, -1]]
    end = bins[-1] + bin_size_s
    require(
        np.isfinite(binned).any(),
        f"behaviour {name!r} is known in no bin: its samples lie at {first:,.6g} to {last:,.6g} s, "
        f"the trials at {bins[0]:,.6g} to {end:,.6g} s; check their clocks, or say the unit with "
        "--time_unit=behavior=ms",
    )
    if odd:
        told = info.get("findings", {})
        info["findings"] = {**told, **{key: told.get(key, 0) + n for key, n in odd.items()}}
    return binned
