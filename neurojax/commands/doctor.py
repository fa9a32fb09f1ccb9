"""`neurojax doctor`: is everything a run left still what was written, and what to do where it is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurojax.data.dataset import open_dataset
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.train import manifest, workdir, writer

OK, NOTE, BAD = "ok  ", "note", "BAD "


def doctor(folder: Path | str, log: Callable[[str], Any] = print) -> None:
    """Checks every byte of every checkpoint, config.json, metrics.jsonl, evaluation.json, data and versions.

    Changes nothing. Raises InputError when something is damaged, after all findings were logged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the --workdir of a run")
    damaged = 0
    for check in (_check_config, _check_checkpoints, _check_metrics, _check_evaluation, _check_data):
        for verdict, line in check(folder):
            damaged += verdict == BAD
            log(f"{verdict} {line}")
    if damaged:
        raise InputError(f"{damaged} finding(s) in {folder} need attention; each BAD line says what to do")


def _check_config(folder: Path) -> list[tuple[str, str]]:
    try:
        run = workdir.read_run(folder)
        config = workdir.read_config(folder)
    except InputError as error:
        return [(BAD, f"{error}; or copy it from a run with the same config")]
    if run.get("config_hash") not in (None, workdir.config_hash(config)):
        return [(BAD, "config.json was edited after the run wrote it; undo the edit, or use a new workdir")]
    notes = [(NOTE, f"config.json records: {note}") for note in run.get("notes", [])]
    return [(OK, "config.json"), *notes]


def _check_checkpoints(folder: Path) -> list[tuple[str, str]]:
    directory = folder / "checkpoints"
    found, whole = [], []
    for step in manifest.steps_on_disk(directory):
        try:
            problems = manifest.verify_step(directory / str(step))
        except InputError as error:
            problems = [str(error)]
        if problems:
            shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
            remedy = "restore this folder from a copy, or run train again: it goes on from an older step"
            found.append((BAD, f"checkpoint {step}: {shown}; {remedy}"))
        else:
            whole.append(step)
            files = manifest.read_manifest(directory / str(step))["files"]
            size = sum(entry["size"] for entry in files.values())
            found.append((OK, f"checkpoint {step}: {len(files)} files, {size / 1e6:.1f} MB"))
    for step in manifest.unfinished_steps(directory):
        found.append((NOTE, f"checkpoint {step} was not finished; the run writes it again or removes it"))
    for name in manifest.quarantined(directory):
        found.append((NOTE, f"checkpoints/{name} was set aside as damaged; delete it when you need the room"))
    if whole:
        found += _compare_with_manifest(folder, directory / str(whole[-1]))
    elif not found:
        found.append((NOTE, "no checkpoint yet"))
    return found


def _compare_with_manifest(folder: Path, step_dir: Path) -> list[tuple[str, str]]:
    saved = manifest.read_manifest(step_dir)
    found = []
    installed, at_save = workdir.package_versions(), saved.get("versions")
    for name, version in sorted(at_save.items()) if isinstance(at_save, dict) else []:
        if installed.get(name) != version:
            here = installed.get(name, "not installed")
            found.append((NOTE, f"{name} was {version} at step {step_dir.name}, is {here}; the last digits may differ"))
    try:
        run = workdir.read_run(folder)
    except InputError:
        return found  # said before
    for key in ("config_hash", "dataset_fingerprint"):
        if None not in (saved.get(key), run.get(key)) and saved[key] != run[key]:
            found.append((NOTE, f"{key} of checkpoint {step_dir.name} is not that of config.json: see its notes"))
    return found


def _check_metrics(folder: Path) -> list[tuple[str, str]]:
    try:
        rows = writer.read_metrics(folder)
    except InputError as error:
        return [(BAD, str(error))]
    return [(OK, f"metrics.jsonl: {len(rows)} lines")] if rows else [(NOTE, "no metrics yet")]


def _check_evaluation(folder: Path) -> list[tuple[str, str]]:
    if not (folder / "evaluation.json").exists():
        return [(NOTE, "no evaluation yet; run neurojax evaluate")]
    try:
        evaluation = read_json(folder / "evaluation.json")
    except InputError as error:
        return [(BAD, f"{error}, then run neurojax evaluate")]
    if not isinstance(evaluation.get("sessions"), dict) or "schema" not in evaluation:
        return [(BAD, "evaluation.json lacks its schema or sessions; run neurojax evaluate again")]
    return [(OK, f"evaluation.json: {len(evaluation['sessions'])} sessions at step {evaluation.get('step')}")]


def _check_data(folder: Path) -> list[tuple[str, str]]:
    try:
        config, run = workdir.read_config(folder), workdir.read_run(folder)
    except InputError:
        return []  # said before
    data = config.get("data")
    root = data.get("root") if isinstance(data, dict) else None
    if not root:
        return [(OK, "data: the built-in synthetic animals")]
    if not Path(root).is_dir():
        return [(NOTE, f"data: {root} is not here; give --config.data.root to go on elsewhere")]
    try:
        dataset = open_dataset(root, verify="full")
    except InputError as error:
        return [(BAD, f"data: {error}")]
    if run.get("dataset_fingerprint") not in (None, dataset.fingerprint):
        remedy = "restore the data, or continue with --allow_dataset_change"
        return [(BAD, f"data: {root} is not what the run was trained on; {remedy}")]
    return [(OK, f"data: {len(dataset.sessions)} sessions in {root}")]
