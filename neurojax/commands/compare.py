"""`neurojax compare RUN...`: runs side by side on the sessions they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurojax import files
from neurojax.commands import compare_rows
from neurojax.errors import InputError
from neurojax.evals import evaluators, tables
from neurojax.report import page
from neurojax.report.headlines import short_words
from neurojax.report.score_groups import drawn_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    if len(runs) < 2:
        raise InputError(
            f"compare got {len(runs)} run(s), expected two or more; name their workdirs"
        )
    evaluations = dict(zip(_names(runs), map(read_evaluation, runs), strict=True))
    kinds = sorted({evaluators.name_in(evaluation) for evaluation in evaluations.values()})
    if len(kinds) > 1:
        raise InputError(f"runs were evaluated as {' and '.join(kinds)}; compare those of one kind")
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
    figure = draw_comparison(evaluations, session_ids)
    if target.suffix == ".png":
        from neurojax.report.figures import style

        files.write_bytes(target, style.png_bytes(figure))
    else:
        from neurojax.commands import compare_page

        content = compare_page.page_of(evaluations, session_ids, warnings, figure)
        files.write_bytes(target, content.encode())
    print(f"comparison: {target}")


def _compare_others(
    evaluations: Mapping[str, Mapping[str, Any]], kind: str, target: Path | None
) -> None:
    """Tells, and writes to `target`, what an evaluator other than that of spikes makes of runs side
    by side."""
    evaluator = evaluators.named({"evaluator": kind})
    if not hasattr(evaluator, "compared"):
        raise InputError(
            f"evaluations of kind {kind} have no comparison; read their reports side by side"
        )
    if target is not None and target.suffix != ".html":
        raise InputError(f"--out={target}: a comparison of {kind} is a page; name it .html")
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
    if not path.exists() and path.suffix != ".json":
        raise InputError(f"run {run} does not exist; name a workdir or an evaluation.json file")
    if not path.exists():
        raise InputError(f"{path} does not exist; run `neurojax evaluate` on that workdir first")
    evaluation = files.read_json(path)
    if evaluation.get("schema") != 1:
        raise InputError(
            f"{path} has schema {evaluation.get('schema')!r}, expected 1; evaluate the run again"
        )
    if evaluators.name_in(evaluation) != evaluators.SPIKES:
        return evaluation
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
        raise InputError(
            f"{path} has {fault}, expected an evaluation of schema 1; evaluate the run again"
        )
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
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{name}: {protocol}" for name, protocol in protocols.items())
        raise InputError(
            f"runs were scored under different protocols ({listed}); evaluate them under one"
        )
    first, *others = evaluations.values()
    shared = [key for key in first["sessions"] if all(key in other["sessions"] for other in others)]
    if not shared:
        raise InputError(
            "the runs share no session, expected at least one; evaluate them on the same data"
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


def draw_comparison(
    evaluations: Mapping[str, Mapping[str, Any]], session_ids: Sequence[str]
) -> Figure:
    """One panel a metric and task: a line a session across the runs, means with 95 % intervals on
    top."""
    import numpy as np

    from neurojax.report.figures import scores, style

    panels = [
        (metric, task)
        for metric, tasks in drawn_groups(*evaluations.values()).items()
        for task in tasks
    ]
    columns = 2 if len(panels) > 1 else 1
    rows = max(1, math.ceil(len(panels) / columns))
    names = [tables.shorten(name, 18) for name in evaluations]
    with style.context():
        width_in = max(3.6, 1.0 + 0.8 * len(names)) * columns
        figure, axes = style.new_figure(width_in, 2.9 * rows, rows, columns)
        for place, (metric, task) in zip(axes.flat, panels, strict=False):
            keys = compare_rows.scored_by_all(evaluations, session_ids, task, metric)
            values = [
                [compare_rows.value(e, key, task, metric) for e in evaluations.values()]
                for key in keys
            ]
            means = [
                tables.mean_score(compare_rows.only(e, keys), "model", task, metric)
                for e in evaluations.values()
            ]
            heights = [np.nan if score.value is None else score.value for score in means]
            halves = [np.nan if score.half is None else score.half for score in means]
            look = {
                "title": f"{tables.label(task)} (n = {len(keys)})",
                "ylabel": short_words(metric),
            }
            look["bars"] = scores.bar_words(len(keys))
            scores.paired_runs(
                place,
                names,
                np.array(values).reshape(len(keys), len(names)),
                heights,
                halves,
                **look,
            )
        for place in axes.flat[len(panels) :]:
            place.set_axis_off()
    return figure


def _names(runs: Sequence[str | Path]) -> list[str]:
    """A short name for each run: the folder's, or the whole path where that is not unique."""
    folders = [Path(run).resolve() for run in runs]
    short = [folder.parent.name if folder.is_file() else folder.name for folder in folders]
    names = [
        name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)
    ]
    scores = {folder if folder.is_file() else folder / "evaluation.json" for folder in folders}
    if len(scores) < len(names):
        raise InputError(
            f"compare got the same run twice ({', '.join(names)}), expected different ones"
        )
    return names


def _checked_target(target: Path) -> Path:
    if target.suffix not in (".html", ".png"):
        raise InputError(f"--out={target} is neither .html nor .png; name the file so")
    if not target.parent.is_dir():
        raise InputError(f"--out={target}: folder {target.parent} does not exist; make it first")
    return target
