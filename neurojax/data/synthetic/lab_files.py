"""A made-up animal as the files a lab has: spike times and trials in NWB, or arrays in .npz.

Spikes of a session's bins get times within them, so that binning the file again gives the counts
of the session to the last spike.
"""

import datetime
from pathlib import Path

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.session import Session
from neurojax.data.synthetic.animals import make_sessions
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import require
from neurojax.files import require_writable

_SPIKE_STREAM = 7  # not one of `animals`, whose draws stay as they are


def write(folder: str | Path, spec: SyntheticSpec | None = None, seed: int = 0) -> list[Path]:
    """Writes each made-up animal to a file of its own: .nwb and .npz in turn.

    Args:
        folder: made where it is missing; files of the same names are replaced.
        spec: of the animals; default: two of `SyntheticSpec`.
        seed: 0 or more.

    Returns:
        the files, mouse0.nwb, mouse1.npz, ...

    Raises:
        InputError: a folder that cannot be written, or pynwb is not installed.
    """
    folder = Path(folder)
    require_writable(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, session in enumerate(make_sessions(spec or SyntheticSpec(num_sessions=2), seed)):
        path = folder / f"mouse{number}{('.nwb', '.npz')[number % 2]}"
        if path.suffix == ".nwb":
            write_nwb(session, path)
        else:
            np.savez(path, **spike_arrays(session))
        files.append(path)
    return files


def spike_arrays(session: Session) -> dict[str, np.ndarray]:
    """A session's spikes and trials as `neurojax convert arrays` reads them.

    Returns:
        spike_times_s, spike_units [spikes], in order of time; trial_start_s, trial_stop_s, split
        and the conditions [trials]; unit_id, unit_region [units]; bin_size_s.
    """
    times_s, units = spike_times(session)
    return {
        "spike_times_s": times_s,
        "spike_units": units,
        "trial_start_s": session.trial_start_s,
        "trial_stop_s": session.trial_start_s + session.trial_num_bins * session.bin_size_s,
        "split": session.split,
        "unit_id": session.unit_id,
        "unit_region": session.region,
        "bin_size_s": np.float64(session.bin_size_s),
        **session.conditions,
    }


def write_nwb(session: Session, path: Path) -> None:
    """Writes a session's spike times, units and trials as an NWB file.

    Raises:
        InputError: pynwb is not installed.
    """
    otherwise = 'NWB files need pynwb; install it with `pip install "neurojax[nwb]"`'
    pynwb = needed("pynwb", otherwise)
    arrays = spike_arrays(session)
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile("a made-up animal", session.session_id, began)
    nwb.subject = pynwb.file.Subject(
        subject_id=session.info["subject_id"], species="Mus musculus", sex="U", age="P90D"
    )
    nwb.add_unit_column("location", "region of the unit")
    for unit, region in enumerate(arrays["unit_region"]):
        train = arrays["spike_times_s"][arrays["spike_units"] == unit]
        nwb.add_unit(spike_times=train, location=str(region), id=unit)
    names = [*session.conditions, "split"]
    for name in names:
        nwb.add_trial_column(name, name)
    splits = np.array(["train", "val", "test"])[arrays["split"]]
    for trial in range(session.num_trials):
        row = {name: float(session.conditions[name][trial]) for name in session.conditions}
        times = [float(arrays[name][trial]) for name in ("trial_start_s", "trial_stop_s")]
        nwb.add_trial(*times, **row, split=str(splits[trial]))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb, cache_spec=False)


def spike_times(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """(seconds float64 [spikes] in order, unit int64 [spikes]), each within the bin it counts in.

    Raises:
        InputError: no clock, or trials that share time.
    """
    lengths_s = session.trial_num_bins * session.bin_size_s
    order = np.argsort(session.trial_start_s, kind="stable")
    ends_s = (session.trial_start_s + lengths_s)[order]
    require(
        bool((ends_s[:-1] <= session.trial_start_s[order][1:] + 1e-9).all()),
        f"session {session.session_id} has trials that share time; its spikes have no times",
    )
    counts, bin_valid = session.gather_trials(np.arange(session.num_trials))
    counts = np.where(bin_valid[..., None], counts, 0).astype(np.int64)  # [K, T, N]
    trial, place, unit = (np.repeat(index, counts[counts > 0]) for index in np.nonzero(counts))
    seed = np.random.SeedSequence(counts.sum(dtype=np.int64), spawn_key=(_SPIKE_STREAM,))
    # Away from the edges of a bin, where rounding decides.
    within = np.random.Generator(np.random.Philox(seed)).uniform(0.05, 0.95, len(trial))
    times_s = session.trial_start_s[trial] + (place + within) * session.bin_size_s
    order = np.argsort(times_s, kind="stable")
    return times_s[order], unit[order]
