"""Behaviour with time stamps of its own, among the arrays of a file: `speed` beside
`speed_times_s` (or `speed_t`)."""

import numpy as np

from neurojax.data.checks.findings import LEFT_OUT
from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers import signals
from neurojax.data.readers.parts import leave_out
from neurojax.data.readers.roles import Axes
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
    starts: np.ndarray,
    bin_size_s: float,
    spec: ReadSpec,
    findings: dict[str, int],
    where: str,
) -> dict[str, np.ndarray]:
    """Behaviours in bins, float32 [bins, dims], NaN where unknown; one that cannot be used is left
    out.

    Args:
        timed: see `take_timed`.
        starts, bin_size_s: of the bins, float64 [bins], seconds.
        spec: its time_unit, max_gap_s and strict.
        findings: that and what is odd is added to it.
        where: for messages.

    Raises:
        InputError: with `spec.strict`, one that cannot be used.
    """
    made, unit_s = {}, TimeUnit.of(spec.time_unit).behavior
    for name, (times, values) in timed.items():
        said = f"{where}: behaviour {name!r}"
        try:
            laid = _laid(values, len(times), said)
            seconds = in_seconds(times, unit_s)
            args = starts, bin_size_s, said, findings, spec.max_gap_s
            binned = signals.in_bins(seconds, laid, *args)
            require(
                np.isfinite(binned).any(),
                f"{said} is known in no bin: its samples lie at {np.nanmin(seconds):,.6g} to "
                f"{np.nanmax(seconds):,.6g} s, the trials at {starts.min():,.6g} to "
                f"{starts.max() + bin_size_s:,.6g} s; check their clocks, or say the unit with "
                "--time_unit=behavior=ms",
            )
            made[name] = binned
        except InputError as error:
            leave_out(findings, LEFT_OUT, f"behaviour {name!r}", error, spec, where)
    return made


def _laid(values: np.ndarray, num_samples: int, said: str) -> np.ndarray:
    """[samples] or [samples, dims]."""
    require(
        values.ndim in (1, 2) and num_samples in values.shape and values.dtype.kind in "biuf",
        f"{said} is {values.dtype} {list(values.shape)}, but has {num_samples} times; give one "
        "time a sample",
    )
    laid = values if values.ndim == 1 or len(values) == num_samples else values.T
    require(
        laid.ndim == 1 or laid.shape[1] <= _MAX_DIMS,
        f"{said} has {laid.shape[-1]} dimensions, expected at most {_MAX_DIMS}",
    )
    return laid
