"""`neurojax doctor`: is everything a run left still what was written, and what to do where it is
not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError
from neurojax.evals import evaluators
from neurojax.files import read_json
from neurojax.runs import manifest, workdir, writer
from neurojax.train import run_folder, settings

OK, NOTE, BAD = "ok  ", "note", "BAD "
Findings = list[tuple[str, str]]  # verdict, line
WRITTEN_AGAIN = "or remove it and repeat the train command, which writes it again"


def doctor(folder: Path | str, log: Callable[[str], Any] = print) -> None:
    """Checks every byte of every checkpoint, the run's own files, its data and its versions.

    Changes nothing; a run may be going on meanwhile. Raises InputError when something is damaged,
    after all findings were logged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the --workdir of a run")
    if not any((folder / name).exists() for name in (workdir.CONFIG_NAME, "checkpoints")):
        run_folder.read_run(folder)  # says what is there instead
    damaged = 0
    checks = (
        *(_check_lock, _check_config, _check_checkpoints, _check_metrics, _check_evaluation),
        *(_check_roster, _check_trained_trials, _check_data),
    )
    for check in checks:
        for verdict, line in check(folder):
            damaged += verdict == BAD
            log(f"{verdict} {line}")
    if damaged:
        raise InputError(
            f"{damaged} finding(s) in {folder} need attention; each BAD line says what to do"
        )


def _check_lock(folder: Path) -> Findings:
    path = folder / workdir.LOCK_NAME
    if path.is_symlink() or path.exists() and not path.is_file():
        return [(BAD, f"{path} is not a plain file, so that no run can hold the folder; remove it")]
    return []


def _check_config(folder: Path) -> Findings:
    try:
        run = workdir.read_run(folder)
        config = workdir.read_config(folder)
    except InputError as error:
        return [(BAD, f"{error}; without it, repeat the train command, which writes it again")]
    if run.get("config_hash") != workdir.config_hash(config):
        remedy = f"undo the edit, {WRITTEN_AGAIN}"
        return [(BAD, f"config.json is not as the run wrote it (config_hash); {remedy}")]
    try:
        _require_sense(folder, config)
    except InputError as error:
        return [(BAD, f"config.json holds something that cannot be used: {error}")]
    notes = [(NOTE, f"config.json records: {note}") for note in run.get("notes", [])]
    return [(OK, "config.json"), *notes]


def _require_sense(folder: Path, config: dict[str, Any]) -> None:
    """What config_hash leaves out because it may change: how the run is driven, scored, and where
    its data lie."""
    run_folder.read_run(folder)
    settings.entry(config["data"], "data", "root", str)
    settings.entry(config["train"], "train", "num_steps", int)
    settings.loop_config(config)
    evaluators.named(config["eval"]).about(config["eval"])


def _check_checkpoints(folder: Path) -> Findings:
    directory = folder / "checkpoints"
    if directory.exists() and not directory.is_dir():
        return [(BAD, f"{directory} is not a folder; restore it from a copy, or use a new workdir")]
    found, problems_of, saved = [], {}, {}
    for step in manifest.steps_on_disk(directory):
        step_dir = directory / str(step)
        try:
            problems_of[step] = manifest.verify_step(step_dir)
            if not problems_of[step]:  # read now: a run that goes on may remove the step any time
                saved[step] = manifest.read_manifest(step_dir)
        except InputError as error:
            problems_of[step] = [str(error)]
    for step, problems in problems_of.items():
        if not problems:
            sizes = [entry["size"] for entry in saved[step]["files"].values()]
            found.append((OK, f"checkpoint {step}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"))
        elif step not in manifest.steps_on_disk(directory):
            found.append((NOTE, f"checkpoint {step} was removed meanwhile, by a run that goes on"))
        else:
            found.append(
                (
                    BAD,
                    f"checkpoint {step}: "
                    f"{_remedied(problems, has_other=any(s != step for s in saved))}",
                )
            )
    for step in manifest.unfinished_steps(directory):
        found.append(
            (NOTE, f"checkpoint {step} was not finished; the run writes it again or removes it")
        )
    for name in manifest.quarantined(directory):
        found.append(
            (NOTE, f"checkpoints/{name} was set aside as damaged; delete it when you need the room")
        )
    if saved:
        found += _compare_with_manifest(folder, max(saved), saved[max(saved)])
    elif not found:
        found.append((NOTE, "no checkpoint yet"))
    return found


def _remedied(problems: list[str], has_other: bool) -> str:
    shown = "; ".join(problems[:3]) + (
        f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    )
    if all(problem.endswith(manifest.FOREIGN) for problem in problems):
        return f"{shown}; remove what is foreign, the rest is whole"
    if has_other:
        return f"{shown}; restore this folder from a copy, or train again: it goes on from a step that is whole"
    return f"{shown}; no step is whole: restore this folder from a copy, or start again in a new workdir"


def _compare_with_manifest(folder: Path, step: int, saved: dict[str, Any]) -> Findings:
    found = []
    installed, at_save = workdir.package_versions(), saved.get("versions")
    for name, version in sorted(at_save.items()) if isinstance(at_save, dict) else []:
        if installed.get(name) != version:
            here = installed.get(name, "not installed")
            found.append(
                (
                    NOTE,
                    f"{name} was {version} at step {step}, is {here}; the last digits may differ",
                )
            )
    try:
        run = workdir.read_run(folder)
    except InputError:
        return found  # said before
    for key in ("config_hash", "dataset_fingerprint"):
        if None not in (saved.get(key), run.get(key)) and saved[key] != run[key]:
            found.append(
                (NOTE, f"{key} of checkpoint {step} is not that of config.json: see its notes")
            )
    return found


def _check_metrics(folder: Path) -> Findings:
    try:
        rows = writer.read_metrics(folder)
    except InputError as error:
        return [(BAD, str(error))]
    torn = []
    if rows and not (folder / writer.METRICS_NAME).read_bytes().endswith(b"\n"):
        torn = [
            (
                NOTE,
                "the last line of metrics.jsonl is cut; the next run drops it and writes it again",
            )
        ]
    return (
        [(OK, f"metrics.jsonl: {len(rows)} lines"), *torn] if rows else [(NOTE, "no metrics yet")]
    )


def _check_evaluation(folder: Path) -> Findings:
    if not (folder / "evaluation.json").exists():
        return [(NOTE, "no evaluation yet; run neurojax evaluate")]
    try:
        evaluation = read_json(folder / "evaluation.json")
    except InputError as error:
        return [(BAD, f"{error}, then run neurojax evaluate")]
    of_spikes = evaluators.name_in(evaluation) == evaluators.SPIKES
    if "schema" not in evaluation or (
        of_spikes and not isinstance(evaluation.get("sessions"), dict)
    ):
        return [(BAD, "evaluation.json lacks its schema or sessions; run neurojax evaluate again")]
    step, directory = evaluation.get("step"), folder / "checkpoints"
    steps = manifest.steps_on_disk(directory)
    if not (steps or manifest.quarantined(directory) or directory.is_file()):
        remedy = "restore checkpoints/ from a copy; train would start again from step 0"
        return [(BAD, f"evaluation.json is of step {step}, but no checkpoint is there; {remedy}")]
    if steps and step != steps[-1]:
        remedy = "run neurojax evaluate for the newest"
        return [
            (
                NOTE,
                f"evaluation.json is of step {step}, the newest checkpoint is {steps[-1]}; "
                f"{remedy}",
            )
        ]
    what = (
        f"{len(evaluation['sessions'])} sessions" if of_spikes else evaluators.name_in(evaluation)
    )
    return [(OK, f"evaluation.json: {what} at step {step}")]


def _check_roster(folder: Path) -> Findings:
    path = folder / roster.ROSTER_NAME
    if not path.exists():
        return [(NOTE, f"no {path.name}; the next train command writes it")]
    try:
        return [(OK, f"{path.name}: {len(roster.read(path))} sessions have rows")]
    except InputError as error:
        return [(BAD, f"{error}, {WRITTEN_AGAIN}")]


def _check_trained_trials(folder: Path) -> Findings:
    try:
        digests = trained_trials.read(folder)
    except InputError as error:
        return [(BAD, str(error))]
    if digests is None:
        return [
            (
                NOTE,
                f"no {trained_trials.NAME}; the next train command writes it, where its start "
                "knows its own",
            )
        ]
    return [(OK, f"{trained_trials.NAME}: {len(digests)} digests")]


def _check_data(folder: Path) -> Findings:
    try:
        config, run = workdir.read_config(folder), workdir.read_run(folder)
    except InputError:
        return []  # said before
    data = config.get("data")
    root = data.get("root") if isinstance(data, dict) else None
    if not isinstance(root, str):
        return []  # said before
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
