"""The HTML page of `neurojax compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurojax.evals import page, paired_runs, sign_test, tables
from neurojax.viz import differences, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def page_of(
    evaluations: Mapping[str, Mapping[str, Any]],
    session_ids: Sequence[str],
    rows: tuple[list[str], list[list[str]], list[list[str]]],
    notes: Sequence[str],
    warnings: Sequence[str],
    figure: Figure,
) -> str:
    """The page of runs (name -> record) on `session_ids`, with the rows, notes and warnings that `compare` prints."""
    head, means, wins = rows
    reference = next(iter(evaluations))
    protocol = next(iter(evaluations.values()))["protocol"]
    identity = [
        [
            name,
            *(str(evaluation.get(field, "-"))[:12] for field in ("step", "seed", "config_hash", "dataset_fingerprint")),
        ]
        for name, evaluation in evaluations.items()
    ]
    title = f"neurojax: {len(evaluations)} runs compared"
    over = (
        f"mean difference of a session from {reference}, bits/spike [95 %, paired over draws of the same trials], and "
        "sessions where it is positive"
    )
    with style.context():
        png = style.png_bytes(figure)
    return page.page(
        title,
        page.heading(title, 1),
        page.paragraph(f"protocol {protocol} · {len(session_ids)} shared sessions", soft=True),
        *(page.paragraph(f"Warning: {warning}.") for warning in warnings),
        page.table(
            ["", *head],
            means,
            caption="bits/spike, pooled; mean over shared sessions ± bootstrap standard error",
        ),
        page.table(["", *head], wins, caption=over),
        page.paragraph(sign_test.sentence(len(session_ids)), soft=True),
        *(page.paragraph(line, soft=True) for line in notes),
        page.picture(
            png,
            "A grey line a session; diamonds: mean over sessions with its 95 % interval over trials.",
            wide=len(evaluations) > 3,
        ),
        page.picture(
            _differences_png(evaluations, session_ids),
            f"Difference from {reference} on the same trials: a grey dot a session, diamonds the mean over sessions, "
            "bars 95 % intervals paired over draws of trials. Above zero is better than it.",
            wide=len(evaluations) > 4,
        ),
        *_session_differences(evaluations, session_ids),
        page.table(["run", "step", "seed", "config hash", "data"], identity),
    )


def _differences_png(evaluations, session_ids) -> bytes:
    first, *later = evaluations.values()
    names = [tables.shorten(name, 18) for name in list(evaluations)[1:]]
    tasks = list(dict.fromkeys(task for one in evaluations.values() for task in tables.tasks_of(one)))
    columns = 2 if len(tasks) > 1 else 1
    rows = -(-len(tasks) // columns)
    with style.context():
        figure, axes = style.new_figure(max(3.6, 1.2 + 0.9 * len(names)) * columns, 2.9 * rows, rows, columns)
        for place, task in zip(axes.flat, tasks, strict=False):
            found = [paired_runs.difference(one, first, session_ids, task) for one in later]
            differences.differences(place, names, found, title=tables.label(task))
        for place in axes.flat[len(tasks) :]:
            place.set_axis_off()
        return style.png_bytes(figure)


def _session_differences(evaluations, session_ids) -> list[str]:
    """Folded: a row a later run, task and session, with the paired interval."""
    reference, first = next(iter(evaluations.items()))
    rows = []
    for name, evaluation in list(evaluations.items())[1:]:
        for task in tables.tasks_of(evaluation):
            found = paired_runs.difference(evaluation, first, session_ids, task)
            for key, (value, ends) in found.sessions.items() if found else ():
                interval = "-" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"
                rows.append([name, tables.label(task), key, f"{value:+.3f}", interval])
            if found:
                p_value = "-" if found.p_value is None else f"p = {found.p_value:.2g}"
                rows.append(
                    [name, tables.label(task), "signs, exact test", f"{found.above} of {len(found.sessions)}", p_value]
                )
    table = page.table(["run", "task", "session", f"over {reference}", "95 %"], rows, caption="bits/spike, pooled")
    return [page.folded("Session by session", table)]
