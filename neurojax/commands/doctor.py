"""`neurojax doctor`: is everything a run left still what was written, and what to do where it is
not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError, require
from neurojax.evals import evaluators
from neurojax.files import read_json
from neurojax.finetune.weights import rows_of
from neurojax.runs import manifest, restore, together, workdir, writer
from neurojax.train import run_folder, settings

OK, NOTE, BAD = "ok  ", "note", "BAD "
Findings = Iterator[tuple[str, str]]  # verdict, line
REPEAT = "repeat the train command, which writes it again"
WRITTEN_AGAIN = f"or remove it and {REPEAT}"


def doctor(folder: Path | str, log: Callable[[str], Any] = print) -> None:
    """Checks every byte of every checkpoint, the run's own files, its data and its versions.

    Changes nothing; a run may be going on meanwhile. Raises InputError when something is damaged,
    after all findings were logged.
    """
    folder = Path(folder)
    require(folder.is_dir(), f"{folder} is not a folder; give the --workdir of a run")
    if not any((folder / name).exists() for name in (workdir.CONFIG_NAME, "checkpoints")):
        run_folder.read_run(folder)  # says what is there instead
    damaged = 0
    checks = (
        *(_check_lock, _check_config, _check_checkpoints, _check_metrics, _check_evaluation),
        *(_check_roster, _check_trained_trials, _check_one_with_another, _check_data),
    )
    for check in checks:
        for verdict, line in _findings(check, folder):
            damaged += verdict == BAD
            log(f"{verdict} {line}")
    require(
        not damaged,
        f"{damaged} finding(s) in {folder} need attention; each BAD line says what to do",
    )


def _findings(check: Callable[[Path], Findings], folder: Path) -> Findings:
    """What a check finds; bad input that ends it is the last of that."""
    try:
        yield from check(folder)
    except InputError as error:
        yield BAD, str(error)


def _check_lock(folder: Path) -> Findings:
    path = folder / workdir.LOCK_NAME
    plain = path.is_file() or not path.exists()
    if path.is_symlink() or not plain:
        yield BAD, f"{path} is not a plain file, so that no run can hold the folder; remove it"


def _check_config(folder: Path) -> Findings:
    try:
        run, config = workdir.read_run(folder), workdir.read_config(folder)
    except InputError as error:
        raise InputError(f"{error}; without it, {REPEAT}") from None
    require(
        run.get("config_hash") == workdir.config_hash(config),
        f"config.json is not as the run wrote it (config_hash); undo the edit, {WRITTEN_AGAIN}",
    )
    try:
        _require_sense(folder, config)
    except InputError as error:
        raise InputError(f"config.json holds something that cannot be used: {error}") from None
    yield OK, "config.json"
    yield from ((NOTE, f"config.json records: {note}") for note in run.get("notes", []))


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
    require(
        directory.is_dir() or not directory.exists(),
        f"{directory} is not a folder; restore it from a copy, or use a new workdir",
    )
    problems_of, saved = {}, {}
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
            yield OK, f"checkpoint {step}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"
        elif step not in manifest.steps_on_disk(directory):
            yield NOTE, f"checkpoint {step} was removed meanwhile, by a run that goes on"
        else:
            yield (
                BAD,
                f"checkpoint {step}: {_remedied(problems, has_other=bool(saved.keys() - {step}))}",
            )
    unfinished, aside = manifest.unfinished_steps(directory), manifest.quarantined(directory)
    for step in unfinished:
        yield NOTE, f"checkpoint {step} was not finished; the run writes it again or removes it"
    for name in aside:
        words = "was set aside as damaged; delete it when you need the room"
        yield NOTE, f"checkpoints/{name} {words}"
    if saved:
        yield from _compare_with_manifest(folder, max(saved), saved[max(saved)])
    elif not (problems_of or unfinished or aside):
        yield NOTE, "no checkpoint yet"


def _remedied(problems: list[str], has_other: bool) -> str:
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    remedy = "no step is whole: restore this folder from a copy, or start again in a new workdir"
    if has_other:
        remedy = (
            "restore this folder from a copy, or train again: it goes on from a step that is whole"
        )
    if all(problem.endswith(manifest.FOREIGN) for problem in problems):
        remedy = "remove what is foreign, the rest is whole"
    return f"{'; '.join(problems[:3])}{more}; {remedy}"


def _compare_with_manifest(folder: Path, step: int, saved: dict[str, Any]) -> Findings:
    installed, at_save = workdir.package_versions(), saved.get("versions")
    for name, version in sorted(at_save.items()) if isinstance(at_save, dict) else []:
        here = installed.get(name, "not installed")
        if here != version:
            yield (
                NOTE,
                f"{name} was {version} at step {step}, is {here}; the last digits may differ",
            )
    try:
        run = workdir.read_run(folder)
    except InputError:
        return  # said before
    for key in ("config_hash", "dataset_fingerprint"):
        if None not in (saved.get(key), run.get(key)) and saved[key] != run[key]:
            told = any(str(note).startswith("the data differ") for note in run.get("notes", []))
            changed = key == "dataset_fingerprint" and told
            yield (
                NOTE if changed else BAD,
                f"{key} of checkpoint {step} is not that of config.json"
                + (": see its notes" if changed else f"; restore config.json, {WRITTEN_AGAIN}"),
            )


def _check_metrics(folder: Path) -> Findings:
    rows = writer.read_metrics(folder)
    yield (OK, f"metrics.jsonl: {len(rows)} lines") if rows else (NOTE, "no metrics yet")
    if rows and not (folder / writer.METRICS_NAME).read_bytes().endswith(b"\n"):
        words = "the last line of metrics.jsonl is cut; the next run drops it and writes it again"
        yield NOTE, words


def _check_evaluation(folder: Path) -> Findings:
    if not (folder / "evaluation.json").exists():
        yield NOTE, "no evaluation yet; run neurojax evaluate"
        return
    try:
        evaluation = read_json(folder / "evaluation.json")
    except InputError as error:
        raise InputError(f"{error}, then run neurojax evaluate") from None
    of_spikes = evaluators.name_in(evaluation) == evaluators.SPIKES
    require(
        "schema" in evaluation and (isinstance(evaluation.get("sessions"), dict) or not of_spikes),
        "evaluation.json lacks its schema or sessions; run neurojax evaluate again",
    )
    step, directory = evaluation.get("step"), folder / "checkpoints"
    steps = manifest.steps_on_disk(directory)
    require(
        steps or manifest.quarantined(directory) or directory.is_file(),
        f"evaluation.json is of step {step}, but no checkpoint is there; restore checkpoints/ "
        "from a copy; train would start again from step 0",
    )
    if steps and step != steps[-1]:
        newest = f"the newest checkpoint is {steps[-1]}; run neurojax evaluate for the newest"
        yield NOTE, f"evaluation.json is of step {step}, {newest}"
        return
    name = evaluators.name_in(evaluation)
    what = f"{len(evaluation['sessions'])} sessions" if of_spikes else name
    yield OK, f"evaluation.json: {what} at step {step}"


def _check_roster(folder: Path) -> Findings:
    path = folder / roster.ROSTER_NAME
    if not path.exists():
        yield NOTE, f"no {path.name}; the next train command writes it"
        return
    try:
        yield OK, f"{path.name}: {len(roster.read(path))} sessions have rows"
    except InputError as error:
        yield BAD, f"{error}, {WRITTEN_AGAIN}"


def _check_trained_trials(folder: Path) -> Findings:
    name, digests = trained_trials.NAME, trained_trials.read(folder)
    if digests is None:
        yield NOTE, f"no {name}; the next train command writes it, where its start knows its own"
    else:
        yield OK, f"{name}: {len(digests.digests)} trials of {len(digests.recordings)} recordings"


def _check_one_with_another(folder: Path) -> Findings:
    """Config, roster, trained trials and the newest checkpoint are of the same sessions."""
    require(
        together.is_complete(folder),
        f"a start of this run was killed while its files changed; {REPEAT.partition(',')[0]}, "
        "which completes it",
    )
    try:
        run, trained = workdir.read_run(folder), trained_trials.read(folder)
        path = folder / roster.ROSTER_NAME
        entries = roster.read(path) if path.is_file() else None
        newest = restore.newest_manifest(folder / "checkpoints")
    except InputError:
        return  # said before
    if entries is None:
        return
    rows, wanted = rows_of(entries), (newest or {}).get("sessions")
    if wanted is not None and rows != wanted:
        yield (
            BAD,
            f"{path.name} lists {_names(rows)}, checkpoint {newest['step']} has rows for "
            f"{_names(wanted)}; repeat the train command with the data of the checkpoint and "
            "--allow_dataset_change, which writes it again",
        )
        return
    known = {entry["session_id"]: entry for entry in entries}
    whole = trained.recordings if trained and trained.all_times_known else ()
    kept = {(one.session_id, one.counts_sha256) for one in whole}
    for name, content in sorted(run.get("sessions", {}).items()):
        if name not in known or known[name]["content_sha256"] != content:
            yield (
                BAD,
                f"config.json and {path.name} are of other data in session {name}; repeat the "
                "train command with --allow_dataset_change, which writes both again",
            )
        elif kept and (name, known[name]["counts_sha256"]) not in kept:
            yield (
                BAD,
                f"{trained_trials.NAME} does not know the trials of session {name}; {REPEAT}",
            )


def _names(rows: list[dict[str, Any]]) -> str:
    named = [f"{row['session_id']} ({row['num_units']} units)" for row in rows]
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")


def _check_data(folder: Path) -> Findings:
    try:
        config, run = workdir.read_config(folder), workdir.read_run(folder)
        root = settings.entry(config.get("data"), "data", "root", str)
    except InputError:
        return  # said before
    if not root:
        yield OK, "data: the built-in synthetic animals"
    elif not Path(root).is_dir():
        yield NOTE, f"data: {root} is not here; give --config.data.root to go on elsewhere"
    else:
        try:
            dataset = open_dataset(root, verify="full")
        except InputError as error:
            raise InputError(f"data: {error}") from None
        require(
            run.get("dataset_fingerprint") in (None, dataset.fingerprint),
            f"data: {root} is not what the run was trained on; restore the data, or continue with "
            "--allow_dataset_change",
        )
        yield OK, f"data: {len(dataset.sessions)} sessions in {root}"
