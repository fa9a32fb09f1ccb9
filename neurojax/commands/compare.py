"""`neurojax compare RUN...`: runs side by side on the sessions they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurojax import files
from neurojax.errors import InputError
from neurojax.evals import paired_runs, seeds, sign_test, tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> None:
    """Prints pooled bits/spike of each run per task, mean over the sessions all runs share.

    Args:
        runs: two or more workdirs, or paths of evaluation.json files; the first is the reference for "above".
        out: .html for a page with tables and a plot, .png for the plot alone.

    Raises:
        InputError: fewer than two runs, a missing or malformed evaluation.json, different protocols, no
            shared session, an `out` that is neither .html nor .png or lies in no folder.
    """
    target = None if out is None else _checked_target(Path(out))
    if len(runs) < 2:
        raise InputError(f"compare got {len(runs)} run(s), expected two or more; name their workdirs")
    evaluations = dict(zip(_names(runs), map(read_evaluation, runs), strict=True))
    session_ids = shared_sessions(evaluations)
    warnings = differences(evaluations)
    for warning in warnings:
        print(f"warning: {warning}")
    print(comparison_table(evaluations, session_ids))
    if target is None:
        return
    figure = draw_comparison(evaluations, session_ids)
    if target.suffix == ".png":
        from neurojax.viz import style

        files.write_bytes(target, style.png_bytes(figure))
    else:
        from neurojax.commands import compare_page

        rows, notes = comparison_rows(evaluations, session_ids, "±\u00a0"), notes_on(evaluations, session_ids)
        content = compare_page.page_of(evaluations, session_ids, rows, notes, warnings, figure)
        files.write_bytes(target, content.encode())
    print(f"comparison: {target}")


def read_evaluation(run: str | Path) -> dict[str, Any]:
    """The evaluation record of a workdir or of an evaluation.json file, checked as far as tables need it."""
    path = Path(run)
    path = path / "evaluation.json" if path.is_dir() else path
    if not path.exists() and path.suffix != ".json":
        raise InputError(f"run {run} does not exist; name a workdir or an evaluation.json file")
    if not path.exists():
        raise InputError(f"{path} does not exist; run `neurojax evaluate` on that workdir first")
    evaluation = files.read_json(path)
    if evaluation.get("schema") != 1:
        raise InputError(f"{path} has schema {evaluation.get('schema')!r}, expected 1; evaluate the run again")
    sessions = evaluation.get("sessions")
    fault = None
    if not isinstance(evaluation.get("protocol"), str):
        fault = "no protocol name"
    elif not isinstance(sessions, dict) or not sessions:
        fault = "no sessions"
    else:
        for key, session in sessions.items():
            fault = fault or _session_fault(key, session)
    if fault:
        raise InputError(f"{path} has {fault}, expected an evaluation of schema 1; evaluate the run again")
    return evaluation


def _session_fault(key: str, session: Any) -> str | None:
    """What is wrong with one session's block, if anything."""
    if not isinstance(session, dict) or not isinstance(session.get("tasks"), dict):
        return f"no tasks in session {key}"
    baselines = session.get("baselines") or {}
    if not isinstance(baselines, dict):
        return f"malformed baselines in session {key}"
    groups = {"the model": session["tasks"], **baselines}
    groups |= {name: block for name, block in session.items() if tables.is_oracle(name)}
    for name, blocks in groups.items():
        if not isinstance(blocks or {}, dict) or not all(map(_is_block, (blocks or {}).values())):
            return f"malformed scores of {name} in session {key}"
    return None


def _is_block(block: Any) -> bool:
    """Whether these are metrics of a task: numbers that can be squared, intervals that are lists of them."""
    if not isinstance(block, dict):
        return False
    numbers = [value for name, value in block.items() if not name.endswith("_ci95")]
    intervals = [value or [] for name, value in block.items() if name.endswith("_ci95")]
    if not all(isinstance(interval, list) for interval in intervals):
        return False
    numbers += [end for interval in intervals for end in interval]
    return not any(isinstance(value, int | float) and 1e100 < abs(value) < math.inf for value in numbers)


def shared_sessions(evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sessions every run scored, in the order of the first; refuses different protocols and no overlap."""
    protocols = {name: evaluation["protocol"] for name, evaluation in evaluations.items()}
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{name}: {protocol}" for name, protocol in protocols.items())
        raise InputError(f"runs were scored under different protocols ({listed}); evaluate them under one")
    first, *others = evaluations.values()
    shared = [key for key in first["sessions"] if all(key in other["sessions"] for other in others)]
    if not shared:
        raise InputError("the runs share no session, expected at least one; evaluate them on the same data")
    return shared


def differences(evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What makes the runs less comparable, in sentences: protocol hashes, data, sessions not shared."""
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


def comparison_rows(
    evaluations: Mapping[str, Mapping[str, Any]], session_ids: Sequence[str], sign: str = "+-"
) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Head of a table (tasks), a row a run with means, and a row a later run with wins over the first.

    A task's mean takes the sessions where every run has a score, so that runs are compared on equal terms.
    """
    first = next(iter(evaluations.values()))
    tasks = list(dict.fromkeys(task for evaluation in evaluations.values() for task in tables.tasks_of(evaluation)))
    scored = {task: _scored_by_all(evaluations, session_ids, task) for task in tasks}
    head = [f"{tables.label(task)} (n={len(scored[task])})" for task in tasks]
    means, wins = [], []
    for name, evaluation in evaluations.items():
        scores = [tables.mean_score(evaluation, "model", task, session_ids=scored[task]) for task in tasks]
        means.append(
            [
                name,
                *(tables.mean_text(score, len(scored[task]), sign) for score, task in zip(scores, tasks, strict=True)),
            ]
        )
        if evaluation is first:
            continue
        found = [paired_runs.difference(evaluation, first, scored[task], task) for task in tasks]
        wins.append([name, *map(_difference_text, found)])
    return head, means, wins


def _difference_text(found: paired_runs.Difference | None) -> str:
    """`+0.040 [+0.010, +0.070], 8 of 9`: the mean difference, its interval where there is one, sessions above."""
    if found is None:
        return "-"
    ends = "" if found.ci95 is None else f" [{found.ci95[0]:+.3f}, {found.ci95[1]:+.3f}]"
    return f"{found.mean:+.3f}{ends}, {found.above} of {len(found.sessions)}"


def comparison_table(evaluations: Mapping[str, Mapping[str, Any]], session_ids: Sequence[str]) -> str:
    """The comparison as aligned plain text."""
    head, means, wins = comparison_rows(evaluations, session_ids)
    reference = next(iter(evaluations))
    blank = [""] * (len(head) + 1)
    rows = [["model", *head], *means, blank, [f"over {tables.shorten(reference, 22)}", *head], *wins]
    lines = tables.align([[tables.shorten(row[0], 28), *row[1:]] for row in rows])
    notes = [
        "",
        "bits/spike, pooled, +- bootstrap se over trials; n sessions that all runs score",
        "over: mean difference of a session [95 %, paired over draws of trials], and in how many it is positive",
        *notes_on(evaluations, session_ids),
        sign_test.sentence(len(session_ids)),
    ]
    return "\n".join([*lines, *notes])


def notes_on(evaluations: Mapping[str, Mapping[str, Any]], session_ids: Sequence[str]) -> list[str]:
    """A line a run of several seeds with their interval, and one a run whose differences have no interval, and why."""
    first = next(iter(evaluations.values()))
    lines = [
        f"{name}: mean of {len(evaluation['seeds'])} seeds, 95 % over seeds: {seeds.intervals(evaluation)}"
        for name, evaluation in evaluations.items()
        if isinstance(evaluation.get("seeds"), list)
    ]
    for name, evaluation in list(evaluations.items())[1:]:
        found = [paired_runs.difference(evaluation, first, session_ids, task) for task in tables.tasks_of(evaluation)]
        reasons = sorted({one.reason for one in found if one is not None and one.reason})
        if reasons:
            lines.append(f"no interval for {name}: {'; '.join(reasons)}")
    return lines


def draw_comparison(evaluations: Mapping[str, Mapping[str, Any]], session_ids: Sequence[str]) -> Figure:
    """One panel a task: a line a session across the runs, means with 95 % intervals on top."""
    import numpy as np

    from neurojax.viz import scores, style

    tasks = list(dict.fromkeys(task for evaluation in evaluations.values() for task in tables.tasks_of(evaluation)))
    columns = 2 if len(tasks) > 1 else 1
    rows = max(1, math.ceil(len(tasks) / columns))
    names = [tables.shorten(name, 18) for name in evaluations]
    with style.context():
        width_in = max(3.6, 1.0 + 0.8 * len(names)) * columns
        figure, axes = style.new_figure(width_in, 2.9 * rows, rows, columns)
        for place, task in zip(axes.flat, tasks, strict=False):
            keys = _scored_by_all(evaluations, session_ids, task)
            values = np.array([[_value(e, key, task) for e in evaluations.values()] for key in keys])
            means = [tables.mean_score(e, "model", task, session_ids=keys) for e in evaluations.values()]
            heights = [np.nan if score.value is None else score.value for score in means]
            halves = [np.nan if score.se is None else 1.96 * score.se for score in means]
            title = f"{tables.label(task)} (n = {len(keys)})"
            scores.paired_runs(place, names, values.reshape(len(keys), len(names)), heights, halves, title=title)
        for place in axes.flat[len(tasks) :]:
            place.set_axis_off()
    return figure


def _scored_by_all(evaluations, session_ids: Sequence[str], task: str) -> list[str]:
    return [key for key in session_ids if all(_value(e, key, task) is not None for e in evaluations.values())]


def _value(evaluation: Mapping[str, Any], session_id: str, task: str) -> float | None:
    return tables.session_score(evaluation["sessions"][session_id], "model", task).value


def _names(runs: Sequence[str | Path]) -> list[str]:
    """A short name for each run: the folder's, or the whole path where that is not unique."""
    folders = [Path(run).resolve() for run in runs]
    short = [folder.parent.name if folder.name == "evaluation.json" else folder.name for folder in folders]
    names = [name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)]
    if len(set(names)) < len(names):
        raise InputError(f"compare got the same run twice ({', '.join(names)}), expected different ones")
    return names


def _checked_target(target: Path) -> Path:
    if target.suffix not in (".html", ".png"):
        raise InputError(f"--out={target} is neither .html nor .png; name the file so")
    if not target.parent.is_dir():
        raise InputError(f"--out={target}: folder {target.parent} does not exist; make it first")
    return target
