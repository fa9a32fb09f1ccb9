"""A session as plain arrays or as an xarray Dataset, for other tools."""

from typing import Any

import numpy as np

from neurojax.data.observed import entries_of
from neurojax.data.optional import needed
from neurojax.data.session import Session
from neurojax.errors import InputError

_PROVENANCE = {
    "subject_id": "subject",
    "date": "date",
    "species": "species",
    "licence": "licence",
    "revision": "revision",
    "citation": "citation",
    "consent": "consent",
}


def to_arrays(session: Session) -> dict[str, np.ndarray]:
    """Named arrays as `neurojax convert arrays` reads them: `numpy.savez(file,
    **session.to_arrays())` and back.

    Returns:
        counts uint8 or uint16 [total_bins, N], trial_offsets [trials + 1], bin_size_s,
        trial_start_s, split [trials], unit_id, unit_region, ... [N], a condition [trials] or
        behaviour [total_bins, dims] under its own name; observed, bool [total_bins, N], or
        [total_bins] where all was.
    """
    order, *_ = bins_of_trials(session, np.arange(session.num_trials))
    seen = entries_of(session.validity, len(session.counts), session.num_units)
    arrays: dict[str, np.ndarray] = {
        "counts": np.asarray(session.counts)[order],
        "bin_size_s": np.float64(session.bin_size_s),
        "trial_offsets": np.concatenate([[0], np.cumsum(session.trial_num_bins)]),
        "trial_start_s": session.trial_start_s,
        "split": session.split,
        # Said even where all was: silent stretches must not be taken as gaps on the way back.
        "observed": np.ones(len(order), bool) if seen is None else seen[order],
        "unit_id": session.unit_id,
        "unit_region": session.region,
        "unit_region_group": session.region_group,
        "unit_region_source": session.region_source,
        **{f"unit_{name}": values for name, values in session.unit_metadata.items()},
        **{
            key: np.array(session.info[name])
            for name, key in _PROVENANCE.items()
            if session.info.get(name)
        },
    }
    own = {
        **session.conditions,
        **{name: values[order] for name, values in session.behaviour.items()},
        **{f"{name}_valid": valid[order] for name, valid in session.behaviour_valid.items()},
    }
    if taken := sorted(arrays.keys() & own.keys()):
        raise InputError(
            f"session {session.session_id}: {taken[0]!r} names two things; rename the condition "
            "or behaviour"
        )
    return arrays | own


def to_xarray(session: Session) -> Any:
    """The session as an `xarray.Dataset` with the dimensions bin, unit and trial.

    `counts` [bin, unit], NaN where a unit was not observed; `trial` and `time_s` (session clock)
    are coordinates of the bins, `region` and its like of the units, `split` and conditions of the
    trials; behaviour has a dimension of its own. Needs xarray.

    Raises:
        InputError: xarray is not installed.
    """
    xarray = needed("xarray", 'to_xarray needs xarray; pip install "neurojax[xarray]"')
    order, trial, time_s = bins_of_trials(session, np.arange(session.num_trials))
    units = {name: getattr(session, name) for name in ("region", "region_group", "region_source")}
    trials = {"trial_start_s": session.trial_start_s, "split": session.split, **session.conditions}
    counts = np.asarray(session.counts)[order]
    seen = entries_of(session.validity, len(session.counts), session.num_units)
    if seen is not None:
        counts = np.where(seen[order], counts, np.float32(np.nan))
    variables = {"counts": (("bin", "unit"), counts, {"units": "spikes per bin"})}
    for name, values in session.behaviour.items():
        variables[name] = (("bin", f"{name}_dim"), values[order])
        variables[f"{name}_valid"] = ("bin", session.behaviour_valid[name][order])
    if session.true_rates is not None:
        variables["true_rates"] = (
            ("bin", "unit"),
            np.asarray(session.true_rates)[order],
            {"units": "spikes per bin"},
        )
    coordinates = {
        "unit": session.unit_id,
        "trial_of_bin": ("bin", trial),
        "time_s": ("bin", time_s, {"units": "s"}),
        **{name: ("unit", values) for name, values in {**units, **session.unit_metadata}.items()},
        **{name: ("trial", values) for name, values in trials.items()},
    }
    attributes = {
        "session_id": session.session_id,
        "bin_size_s": session.bin_size_s,
        **{key: v for key, v in session.info.items() if isinstance(v, str | int | float)},
    }
    return xarray.Dataset(variables, coordinates, attributes)


def bins_of_trials(
    session: Session, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every bin of trials one after another: its row in the recording, its trial, int64 [bins],
    and when it begins, float64 [bins], seconds."""
    lengths = session.trial_num_bins[trials]
    trial = np.repeat(trials, lengths)
    within = np.arange(len(trial)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    starts_s = session.trial_start_s[trial] + within * session.bin_size_s
    return session.trial_start_bin[trial] + within, trial, starts_s
