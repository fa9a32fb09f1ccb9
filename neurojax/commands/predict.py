"""`neurojax predict`: a run's predicted rates of the test trials, as arrays for other tools."""

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neurojax.commands.predicted_nwb import predictions_as_nwb, require_pynwb
from neurojax.data.session import TEST, Session
from neurojax.errors import require
from neurojax.evals import activity, protocols, scorable, spikes
from neurojax.files import require_writable, write_bytes
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

FORMATS = ("npz", "nwb")


def predict(
    folder: Path,
    *,
    data: Path | None = None,
    out: Path,
    task: tuple[str, ...] | None = None,
    file_format: str = "npz",
) -> None:
    """Writes <out>/<session_id>.npz for every session, or <out>/<session_id>.nwb.

    Sessions that the run has no rows for, or without a test trial, are counted and left out.

    An .npz file holds, per task, `<task>_rates_hz`, float32 [test trials, bins, units] in Hz, as an
    .nwb file does (`predicted_nwb.predictions_as_nwb`), and `<task>`, the same in expected spikes
    per bin, which earlier versions wrote alone. Both are NaN where the task does not score, and
    where a unit was not observed: then `observed`, bool of the same shape, says which. Beside them:
    `unit_of_values` (name: unit, one a line), trial_id, unit_id, split, bin_size_s, config_hash.

    Raises:
        InputError: no run, unknown task or format, other bins, or no session that can be predicted.
    """
    require(file_format in FORMATS, f"format={file_format!r}; expected {' or '.join(FORMATS)}")
    if file_format == "nwb":
        require_pynwb()
    tasks = task or protocols.TASKS
    for name in tasks:
        require(
            name in protocols.TASKS,
            f"task {name!r} is not known; choose from {', '.join(protocols.TASKS)}",
        )
    config = run_folder.read_run(Path(folder))
    require_writable(Path(out), folder=True)
    dataset = scorable.usable(run_folder.data_of(config, data))
    asked = dataclasses.replace(
        protocols.MTM, tasks={name: protocols.MTM.tasks[name] for name in tasks}
    )
    dataset = scorable.known_to_run(Path(folder), dataset, asked)
    dataset = scorable.scorable(dataset, asked, with_baselines=False)
    for session in dataset.sessions:  # before the work: one that cannot be written would cost it
        require_writable(Path(out) / f"{session.session_id}.{file_format}")
    model, manifest = run_folder.load_predictor(Path(folder), config, dataset)
    size = spikes.trials_per_pass(model, dataset, config["eval"], what="prediction")
    with Progress(len(dataset.sessions), "predicting", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            arrays = activity.predict_session(model, session, tasks, trials_per_pass=size)
            write = predictions_as_npz if file_format == "npz" else predictions_as_nwb
            content = write(session, arrays, session.trials_of(TEST), manifest["config_hash"])
            write_bytes(Path(out) / f"{session.session_id}.{file_format}", content)
            progress.update(number + 1)
    print(f"wrote {len(dataset.sessions)} files to {out}")


def predictions_as_npz(
    session: Session, predictions: Mapping, trial_ids: np.ndarray, config_hash: str
) -> bytes:
    """Bytes of an .npz file; see `predict`."""
    content = io.BytesIO()
    rates_hz = {
        f"{task}_rates_hz": expected / np.float32(session.bin_size_s)
        for task, expected in predictions.items()
    }
    units = {name: "Hz" for name in rates_hz} | dict.fromkeys(predictions, "spikes per bin")
    if session.validity is not None:
        rates_hz["observed"] = session.entry_valid(trial_ids)
    np.savez_compressed(
        content,
        **rates_hz,
        **predictions,
        unit_of_values=np.asarray([f"{name}: {unit}" for name, unit in sorted(units.items())]),
        trial_id=trial_ids,
        unit_id=session.unit_id,
        split=np.asarray("test"),
        bin_size_s=np.asarray(session.bin_size_s),
        config_hash=np.asarray(config_hash),
    )
    return content.getvalue()
