"""`neurojax compare RUN...`: runs side by side on the sessions they share."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax import files
from neurojax.commands import compare_rows
from neurojax.errors import require
from neurojax.evals import evaluators, tables
from neurojax.report import page


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> None:
    """Prints each run's scores per task, those that the protocol shows, mean over the sessions all
    runs share.

    Args:
        runs: two or more workdirs, or paths of evaluation.json files; the first is the reference
            for "above".
        out: .html for a page with tables and a plot, .png for the plot alone.

    Raises:
        InputError: fewer than two runs, a missing or malformed evaluation.json, different
            protocols, no shared session, an `out` that is neither .html nor .png or lies in no
            folder.
    """
    target = None if out is None else _checked_target(Path(out))
    require(
        len(runs) >= 2, f"compare got {len(runs)} run(s), expected two or more; name their workdirs"
    )
    evaluations = dict(zip(_names(runs), map(read_evaluation, runs), strict=True))
    kinds = sorted({evaluators.name_in(evaluation) for evaluation in evaluations.values()})
    require(
        len(kinds) <= 1, f"runs were evaluated as {' and '.join(kinds)}; compare those of one kind"
    )
    if kinds != [evaluators.SPIKES]:
        _compare_others(evaluations, kinds[0], target)
        return
    session_ids = shared_sessions(evaluations)
    warnings = differences(evaluations)
    for warning in warnings:
        print(f"warning: {warning}")
    print(compare_rows.comparison_table(evaluations, session_ids))
    if target is None:
        return
    from neurojax.commands import compare_page  # only a page and a figure need matplotlib

    if target.suffix == ".png":
        content = compare_page.drawn(evaluations, session_ids)
    else:
        content = compare_page.page_of(evaluations, session_ids, warnings).encode()
    files.write_bytes(target, content)
    print(f"comparison: {target}")


def _compare_others(
    evaluations: Mapping[str, Mapping[str, Any]], kind: str, target: Path | None
) -> None:
    """Tells, and writes to `target`, what an evaluator other than that of spikes makes of runs side
    by side."""
    evaluator = evaluators.named({"evaluator": kind})
    require(
        hasattr(evaluator, "compared"),
        f"evaluations of kind {kind} have no comparison; read their reports side by side",
    )
    require(
        target is None or target.suffix == ".html",
        f"--out={target}: a comparison of {kind} is a page; name it .html",
    )
    rows, notes = evaluator.compared(evaluations)
    print("\n".join([*tables.align(rows), *notes]))
    if target is not None:
        title = f"neurojax: {len(evaluations)} runs compared"
        words = [page.paragraph(note, soft=True) for note in notes]
        content = page.page(title, page.heading(title, 1), page.table(rows[0], rows[1:]), *words)
        files.write_bytes(target, content.encode())
        print(f"comparison: {target}")


def read_evaluation(run: str | Path) -> dict[str, Any]:
    """The evaluation record of a workdir or of an evaluation.json file, checked as far as tables
    need it."""
    path = Path(run)
    path = path / "evaluation.json" if path.is_dir() else path
    require(
        path.exists() or path.suffix == ".json",
        f"run {run} does not exist; name a workdir or an evaluation.json file",
    )
    require(path.exists(), f"{path} does not exist; run `neurojax evaluate` on that workdir first")
    evaluation = files.read_json(path)
    require(
        evaluation.get("schema") == 1,
        f"{path} has schema {evaluation.get('schema')!r}, expected 1; evaluate the run again",
    )
    if evaluators.name_in(evaluation) != evaluators.SPIKES:
        return evaluation

    def require_sound(holds: Any, fault: str) -> None:
        expected = "expected an evaluation of schema 1; evaluate the run again"
        require(holds, f"{path} has {fault}, {expected}")

    sessions = evaluation.get("sessions")
    require_sound(isinstance(evaluation.get("protocol"), str), "no protocol name")
    require_sound(isinstance(sessions, dict) and sessions, "no sessions")
    for key, session in sessions.items():
        has_tasks = isinstance(session, dict) and isinstance(session.get("tasks"), dict)
        require_sound(has_tasks, f"no tasks in session {key}")
        baselines = session.get("baselines") or {}
        require_sound(isinstance(baselines, dict), f"malformed baselines in session {key}")
        groups = {"the model": session["tasks"], **baselines}
        groups |= {name: block for name, block in session.items() if tables.is_oracle(name)}
        for name, blocks in groups.items():
            known = blocks or {}
            sound = isinstance(known, dict) and all(map(_is_block, known.values()))
            require_sound(sound, f"malformed scores of {name} in session {key}")
    return evaluation


def _is_block(block: Any) -> bool:
    """Whether these are metrics of a task: numbers that can be squared, intervals that are lists of
    them."""
    if not isinstance(block, dict):
        return False
    numbers = [value for name, value in block.items() if not name.endswith("_ci95")]
    intervals = [value or [] for name, value in block.items() if name.endswith("_ci95")]
    if not all(isinstance(interval, list) for interval in intervals):
        return False
    numbers += [end for interval in intervals for end in interval]
    return not any(
        isinstance(value, int | float) and 1e100 < abs(value) < math.inf for value in numbers
    )


def shared_sessions(evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sessions every run scored, in the order of the first; refuses different protocols and no
    overlap."""
    protocols = {name: evaluation["protocol"] for name, evaluation in evaluations.items()}
    listed = ", ".join(f"{name}: {protocol}" for name, protocol in protocols.items())
    require(
        len(set(protocols.values())) == 1,
        f"runs were scored under different protocols ({listed}); evaluate them under one",
    )
    first, *others = evaluations.values()
    shared = [key for key in first["sessions"] if all(key in other["sessions"] for other in others)]
    require(
        shared, "the runs share no session, expected at least one; evaluate them on the same data"
    )
    return shared


def differences(evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What makes the runs less comparable, in sentences: protocol hashes, data, sessions not
    shared."""
    found = []
    for field, meaning in (
        ("protocol_hash", "the protocol's settings differ, numbers may not be comparable"),
        ("dataset_fingerprint", "the data differ, sessions of one name may hold other trials"),
    ):
        values = {name: evaluation.get(field) for name, evaluation in evaluations.items()}
        if len(set(map(str, values.values()))) > 1:
            listed = ", ".join(f"{name}: {str(value)[:12]}" for name, value in values.items())
            found.append(f"{field} is not the same ({listed}): {meaning}")
    shared = shared_sessions(evaluations)
    most = max(len(evaluation["sessions"]) for evaluation in evaluations.values())
    if most > len(shared):
        found.append(f"{len(shared)} of up to {most} sessions are shared; the others are left out")
    return found


def _names(runs: Sequence[str | Path]) -> list[str]:
    """A short name for each run: the folder's, or the whole path where that is not unique."""
    folders = [Path(run).resolve() for run in runs]
    short = [folder.parent.name if folder.is_file() else folder.name for folder in folders]
    names = [
        name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)
    ]
    scores = {folder if folder.is_file() else folder / "evaluation.json" for folder in folders}
    require(
        len(scores) >= len(names),
        f"compare got the same run twice ({', '.join(names)}), expected different ones",
    )
    return names


def _checked_target(target: Path) -> Path:
    require(
        target.suffix in (".html", ".png"),
        f"--out={target} is neither .html nor .png; name the file so",
    )
    require(
        target.parent.is_dir(),
        f"--out={target}: folder {target.parent} does not exist; make it first",
    )
    return target
