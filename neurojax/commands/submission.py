"""`neurojax evaluate --protocol=brainwide --submission=DIR`: BrainWideBench's prediction files.

    DIR/ts2-co_smoothing/<recording>/seed_43.safetensors      DIR's name is the submission's label
    DIR/ts2-forecasting/<recording>/seed_43.safetensors       zip DIR itself and upload it

Tensors: predictions (log-rates, float16), window_timestamps (float64), unit_ids. The layout is that
of ibl-bwb-eval 0.1.0.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax import __version__
from neurojax.data.session import Session
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import subset
from neurojax.errors import require
from neurojax.evals import bench_submission, leaks, scorable, spikes
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_bytes
from neurojax.finetune import safetensors_file
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

LAYOUT_VERSION = "0.1.0"
SEEDS = (43, 44, 45, 46, 47)  # those a reported number is of; 42 is for choices
LEAST_SEEDS = 3  # in a row
BUILD = "selected_units"


def write(folder: Path, submission: Path, data: Path | None = None) -> None:
    """Writes the prediction files of a run, or of each `seed_...` in a folder of `train --seeds`.

    Args:
        folder: workdir of a run of one of SEEDS, or a folder of such runs.
        submission: folder of the submission, whose name is its label; files of the same names are
            replaced.
        data: sessions to predict; default: those of the run.

    Raises:
        InputError: another seed, no session of the benchmark, one that the run does not know or
            was trained on, or safetensors is missing.
    """
    folder, submission = Path(folder), Path(submission)
    library = safetensors_file.library()
    label = submission.resolve().name
    require(label.strip(), f"--submission={submission}; expected a folder, whose name is the label")
    require_writable(submission, folder=True)
    runs = sorted(folder.glob("seed_*/config.json")) or [folder / "config.json"]
    for path in runs:
        _write_run(path.parent, submission, label, data, library)
    print("\n".join(_seed_lines(submission)))


def _write_run(folder: Path, submission: Path, label: str, data: Path | None, library) -> None:
    config = run_folder.read_run(folder)
    seed = config["seed"]
    require(
        seed in SEEDS,
        f"{folder} was trained from seed {seed}; a submission is of seeds {SEEDS[0]} to "
        f"{SEEDS[-1]}: train with --config.seed={SEEDS[0]} --seeds={len(SEEDS)}",
    )
    dataset = scorable.usable(run_folder.data_of(config, data))
    dataset = scorable.known_to_run(folder, dataset, bench_submission.PROTOCOL)
    reasons = {one.session_id: bench_submission.reason_against(one) for one in dataset.sessions}
    known = [name for name, reason in reasons.items() if reason is None]
    for name in reasons.keys() - set(known):
        print(f"session {name} {reasons[name]}")
    require(known, "no session of BrainWideBench is there; see the lines above")
    dataset = subset(dataset, known)
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    model, _ = run_folder.load_predictor(folder, config, dataset)
    size = spikes.trials_per_pass(model, dataset, config["eval"], what="submission")
    rows, number = [], 0
    with Progress(2 * len(dataset.sessions), f"seed {seed}", unit="files") as progress:
        for session in dataset.sessions:
            for task in bench_submission.TASKS:
                found = bench_submission.predict(model, session, task, size)
                name = f"seed_{seed}.safetensors"
                content = content_of(found, task, session, label, seed, library)
                write_bytes(submission / task / session.session_id / name, content)
                own = bench_submission.scores(found)
                rows.append((session.session_id, task, len(found.window_start_s), own))
                number += 1
                progress.update(number)
    print("\n".join(_table(rows, seed)))
    for line in dict.fromkeys(filter(None, map(_caution, dataset.sessions))):
        print(line)


def content_of(
    found: bench_submission.Predicted,
    task: str,
    session: Session,
    label: str,
    seed: int,
    library: Any,
) -> bytes:
    """Bytes of one prediction file.

    Args:
        found: predictions of the session under a task.
        task: of `bench_submission.TASKS`.
        session: predicted.
        label: of the submission.
        seed: of the run.
        library: `safetensors.numpy`.
    """
    # safetensors writes memory as it lies, whatever the strides.
    tensors = {
        "predictions": np.ascontiguousarray(found.log_rates),
        "window_timestamps": found.window_start_s,
        "unit_ids": np.ascontiguousarray(bench_submission.encoded(found.unit_id)),
    }
    metadata = {
        "label": label,
        "task": task,
        "seed": str(seed),
        "recording_id": session.session_id,
        "unit_filtering": str(session.info.get("unit_filtering") or "custom"),
        "dataset_version": str(session.info.get("revision") or "0.0.0"),
        "context_window": "1.0",
        "bin_size": str(session.bin_size_s),
        "ibl_bwb_eval_version": LAYOUT_VERSION,
        "writer": f"neurojax {__version__}",
    }
    return library.save(tensors, metadata=metadata)


def _caution(session: Session) -> str:
    """What the leaderboard would refuse of a session; "" where nothing is known."""
    build, version = session.info.get("unit_filtering"), session.info.get("revision")
    if build != BUILD:
        return f"warning: built with unit_filtering={build}; the leaderboard takes {BUILD} alone"
    if not version:
        return "warning: the files name no version of the data; the leaderboard asks for one"
    return ""


def _table(rows: Sequence[tuple[str, str, int, Mapping[str, float]]], seed: int) -> list[str]:
    shown = [("session", "task", "windows", "Poisson D2", "bits/spike")]
    for name, task, number, own in rows:
        shown.append((name, task, f"{number:,}", *(f"{value:.4f}" for value in own.values())))
    for task in bench_submission.TASKS:
        of_task = [own for _, other, _, own in rows if other == task]
        means = [np.mean([own[name] for own in of_task]) for name in of_task[0]]
        means = [f"{mean:.4f}" for mean in means]
        shown.append((f"mean of {len(of_task)}", task, "", *means))
    return [f"seed {seed}, scored as the benchmark does, on these files:", *align(shown)]


def _seed_lines(submission: Path) -> list[str]:
    """How many seeds of each task are there, and whether they are a submission."""
    lines = []
    for task in bench_submission.TASKS:
        sets = [
            {int(path.stem.removeprefix("seed_")) for path in folder.glob("seed_*.safetensors")}
            for folder in sorted((submission / task).iterdir())
        ]
        same = set.intersection(*sets)
        whole = all(one == same for one in sets)
        in_a_row = bool(same) and max(same) - min(same) + 1 == len(same) >= LEAST_SEEDS
        told = f"{task}: {len(sets)} recordings, seeds {', '.join(map(str, sorted(same)))}"
        if not (whole and in_a_row):
            told += f"; a submission needs {LEAST_SEEDS} in a row, the same for every recording"
        lines.append(told)
    label = submission.resolve().name
    return [*lines, f"wrote {submission}; to submit it: zip -r {label}.zip {label}, from beside it"]
