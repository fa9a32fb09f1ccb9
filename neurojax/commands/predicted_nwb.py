"""Predicted rates of one session as an NWB file that pynwb reads."""

import datetime
import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.errors import InputError

_MODULE = "predicted_rates"
_NO_CLOCK = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_ROUNDING_BINS = 0.5


def require_pynwb() -> None:
    """Raises InputError when pynwb is not installed: before the work, not after it."""
    try:
        import pynwb  # noqa: F401
    except ImportError:
        raise InputError(
            'format=nwb needs pynwb; install it with `pip install "neurojax[nwb]"`'
        ) from None


def predictions_as_nwb(
    session: Session,
    predictions: Mapping[str, np.ndarray],
    trial_ids: np.ndarray,
    config_hash: str,
    spread: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """Bytes of an NWB file with a series of rates for each task, the units and the trials.

    `processing/predicted_rates/<task>_rates_hz` holds float32 [time, N] in Hz, NaN where the task
    does not score and where a unit was not observed, with the start of each bin as timestamps;
    column k is row k of the table `units` beside it. Trials come in order of time on the session's
    clock. Where they share time, as trials without a clock do, they are laid end to end. Of an
    ensemble `<task>_rates_hz_spread` beside each series is the standard deviation over its members.

    Args:
        session: the recording.
        predictions: task -> float32 [trials, T, N], expected spikes per bin.
        trial_ids: int64 [trials], of which trials.
        config_hash: of the run that predicted.
        spread: task -> float32 [trials, T, N], standard deviation over the members of an ensemble
            of their expected spikes per bin; None of one model.
    """
    import h5py
    import pynwb
    from hdmf.backends.hdf5 import H5DataIO

    starts_s, has_clock = trial_clock(session, trial_ids)
    order = np.argsort(starts_s, kind="stable")
    lengths = session.trial_num_bins[trial_ids][order]
    valid = np.arange(next(iter(predictions.values())).shape[1]) < lengths[:, None]  # [trials, T]
    began, dated = _start_of(session)
    nwb = pynwb.NWBFile(
        session_description="rates predicted by neurojax for the test trials of session "
        f"{session.session_id}"
        + ("" if dated else "; the start of the recording is not known and a stand-in")
        + ("" if has_clock else "; trials have no clock of the session and lie end to end"),
        identifier=f"{session.session_id} {config_hash}",
        session_start_time=began,
        session_id=session.session_id,
    )
    if session.info.get("subject_id"):
        nwb.subject = pynwb.file.Subject(**_subject(session.info))
    stops_s = starts_s[order] + lengths * session.bin_size_s
    nwb.trials = _trials(pynwb, session, trial_ids[order], starts_s[order], stops_s)
    # [time]
    bin_starts_s = (starts_s[order][:, None] + np.arange(valid.shape[1]) * session.bin_size_s)[
        valid
    ]
    module = nwb.create_processing_module(
        name=_MODULE, description=f"predictions of neurojax, config {config_hash}"
    )
    module.add(_units(session))
    series = [(f"{task}_rates_hz", task, "", values) for task, values in predictions.items()]
    series += [
        (f"{task}_rates_hz_spread", task, "standard deviation over members of the ensemble, ", sd)
        for task, sd in (spread or {}).items()
    ]
    for name, task, what, expected in series:
        rates_hz = expected[order][valid] / np.float32(session.bin_size_s)  # [time, N]
        module.add(
            pynwb.TimeSeries(
                name=name,
                data=H5DataIO(rates_hz, compression="gzip", chunks=True),
                timestamps=bin_starts_s,
                unit="Hz",
                description=f"{what}task {task}, bins of {session.bin_size_s * 1000:g} ms; NaN "
                "where it does not score, or the unit was not observed",
                comments="column k is row k of units beside it; timestamps are the starts of bins",
            )
        )
    content = io.BytesIO()
    with h5py.File(content, "w") as file, warnings.catch_warnings():
        # pynwb 3: bytes have no name
        warnings.filterwarnings("ignore", "The file path provided", UserWarning)
        with pynwb.NWBHDF5IO(file=file, mode="w") as writer:
            writer.write(nwb)
    return content.getvalue()


def trial_clock(session: Session, trial_ids: np.ndarray) -> tuple[np.ndarray, bool]:
    """Start of each trial, float64 [trials] seconds, and whether it is the session's clock.

    Trials that share time (those without a clock all start at one) are laid end to end instead.
    """
    starts_s = session.trial_start_s[trial_ids]
    lengths_s = session.trial_num_bins[trial_ids] * session.bin_size_s
    order = np.argsort(starts_s, kind="stable")
    stops_s = (starts_s + lengths_s)[order]
    if (starts_s[order][1:] > stops_s[:-1] - _ROUNDING_BINS * session.bin_size_s).all():
        return starts_s, True
    return np.cumsum(lengths_s) - lengths_s, False


def _start_of(session: Session) -> tuple[datetime.datetime, bool]:
    """When the recording began, with a time zone, and whether it is known."""
    try:
        began = datetime.datetime.fromisoformat(str(session.info.get("date")).strip())
    except ValueError:
        return _NO_CLOCK, False
    return (began if began.tzinfo else began.replace(tzinfo=datetime.UTC)), True


def _subject(info: Mapping[str, Any]) -> dict[str, str]:
    """What the recording says of its subject, as far as NWB has a field for it."""
    about = {name: info.get(name) for name in ("subject_id", "species")}
    more = info.get("subject")
    if isinstance(more, Mapping):
        about |= {name: more.get(name) for name in ("sex", "age", "genotype", "strain")}
    return {name: str(value) for name, value in about.items() if value}


def _units(session: Session) -> Any:
    """A table of its own: NWB's Units are for spike times, which predictions are not."""
    from hdmf.common import DynamicTable

    columns = {
        "unit_id": session.unit_id,
        "region": session.region,
        "region_group": session.region_group,
    }
    return DynamicTable(
        name="units",
        description="units of the session, in the order of the columns of the rates",
        columns=[_column(name, values) for name, values in columns.items()],
        id=np.arange(session.num_units),
    )


def _trials(
    pynwb: Any, session: Session, trial_ids: np.ndarray, starts_s: np.ndarray, stops_s: np.ndarray
) -> Any:
    columns = {
        "start_time": starts_s,
        "stop_time": stops_s,
        "trial_id": trial_ids,
        "split": np.array([SPLIT_NAMES[code] for code in session.split[trial_ids].tolist()]),
    }
    for name, values in session.conditions.items():
        taken = name in columns or hasattr(pynwb.epoch.TimeIntervals, name)
        columns[f"condition_{name}" if taken else name] = values[trial_ids]
    return pynwb.epoch.TimeIntervals(
        name="trials",
        description="test trials; trial_id is the row in the session folder",
        columns=[_column(name, values) for name, values in columns.items()],
        id=np.arange(len(trial_ids)),
    )


def _column(name: str, values: np.ndarray) -> Any:
    from hdmf.common import VectorData

    return VectorData(
        name=name, description=name, data=values.tolist() if values.dtype.kind == "U" else values
    )
