"""The HTML page of `neurojax compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurojax.commands.compare_rows import (
    Part,
    difference_words,
    holm,
    notes_on,
    parts_of,
    scored_by_all,
)
from neurojax.evals import tables
from neurojax.report import page, paired_runs
from neurojax.report.figures import differences, style
from neurojax.report.figures.scores import bar_words
from neurojax.report.headlines import score_words, short_words
from neurojax.report.score_groups import drawn_groups, score_groups
from neurojax.scores import sign_test

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def page_of(
    evaluations: Mapping[str, Mapping[str, Any]],
    session_ids: Sequence[str],
    warnings: Sequence[str],
    figure: Figure,
) -> str:
    """The page of runs (name -> record) on `session_ids`, with the numbers and warnings that
    `compare` prints."""
    reference = next(iter(evaluations))
    protocol = next(iter(evaluations.values()))["protocol"]
    identity = [
        [
            name,
            *(
                str(evaluation.get(field, "-"))[:12]
                for field in ("step", "seed", "config_hash", "dataset_fingerprint")
            ),
        ]
        for name, evaluation in evaluations.items()
    ]
    title = f"neurojax: {len(evaluations)} runs compared"
    with style.context():
        png = style.png_bytes(figure)
    return page.page(
        title,
        page.heading(title, 1),
        page.paragraph(f"protocol {protocol} · {len(session_ids)} shared sessions", soft=True),
        *(page.paragraph(f"Warning: {warning}.") for warning in warnings),
        *(
            _table(part, reference, len(session_ids))
            for part in parts_of(evaluations, session_ids, "±\u00a0")
        ),
        page.paragraph(sign_test.sentence(len(session_ids)), soft=True),
        *(page.paragraph(line, soft=True) for line in notes_on(evaluations, session_ids)),
        page.picture(
            png,
            f"A grey line a session; diamonds: mean over sessions, bars: {_bars(session_ids)}.",
            wide=len(evaluations) > 3,
        ),
        page.picture(
            _differences_png(evaluations, session_ids),
            f"Difference from {reference}: a grey dot a session with its 95 % interval over "
            "trials, where it has one; "
            f"diamonds the mean, bars: {_bars(session_ids)}, paired within sessions. Above zero "
            "is better than it.",
            wide=len(evaluations) > 4,
        ),
        *_session_differences(evaluations, session_ids),
        page.table(["run", "step", "seed", "config hash", "data"], identity),
    )


def _bars(session_ids: Sequence[str]) -> str:
    return (
        "95 % intervals over sessions (t)"
        if len(session_ids) > 1
        else "95 % intervals over its test trials"
    )


def _table(part: Part, reference: str, num_sessions: int) -> str:
    """Means of all runs, and below them what later runs are above the first."""
    over = [[f"{row[0]} over {reference}", *row[1:]] for row in part.over]
    error = f" ± {part.words}" if part.words else ""
    caption = (
        f"{score_words(part.metric)}; mean over shared sessions{error}; over {reference}: "
        f"{difference_words(num_sessions)}"
    )
    return page.table(["", *part.head], [*part.means, *over], caption=caption)


def _differences_png(evaluations, session_ids) -> bytes:
    first, *later = evaluations.values()
    names = [tables.shorten(name, 18) for name in list(evaluations)[1:]]
    panels = [
        (metric, task)
        for metric, tasks in drawn_groups(*evaluations.values()).items()
        for task in tasks
    ]
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    with style.context():
        figure, axes = style.new_figure(
            max(3.6, 1.2 + 0.9 * len(names)) * columns, 2.9 * rows, rows, columns
        )
        for place, (metric, task) in zip(axes.flat, panels, strict=False):
            keys = scored_by_all(evaluations, session_ids, task, metric)
            found = [paired_runs.difference(one, first, keys, task, metric) for one in later]
            look = {
                "title": tables.label(task),
                "score": short_words(metric),
                "bars": bar_words(len(keys)),
            }
            differences.differences(place, names, found, **look)
        for place in axes.flat[len(panels) :]:
            place.set_axis_off()
        return style.png_bytes(figure)


def _session_differences(evaluations, session_ids) -> list[str]:
    """Folded: a row a later run, score, task and session, with the paired interval."""
    reference, first = next(iter(evaluations.items()))
    rows = []
    panels = [
        (metric, task)
        for metric, tasks in score_groups(*evaluations.values()).items()
        for task in tasks
    ]
    for name, evaluation in list(evaluations.items())[1:]:
        every = {}
        for metric, task in panels:
            # the sessions of the tables
            keys = scored_by_all(evaluations, session_ids, task, metric)
            every[metric, task] = paired_runs.difference(evaluation, first, keys, task, metric)
        for (metric, task), found in every.items():
            if found is None:
                continue
            which = [name, tables.label(task), score_words(metric)]
            rows += [
                [*which, key, f"{value:+.3f}", _ends(ends)]
                for key, (value, ends) in found.sessions.items()
            ]
            rows.append(
                [
                    *which,
                    "mean, over trials of these sessions",
                    f"{found.mean:+.3f}",
                    _ends(found.trials_ci95),
                ]
            )
            if len(found.sessions) > 1:
                adjusted = holm(
                    {other: every[metric, other] for at, other in every if at == metric}
                )[task]
                rows.append(
                    [*which, "mean, over sessions (t)", f"{found.mean:+.3f}", _ends(found.ci95)]
                )
                rows.append(
                    [
                        *which,
                        "paired t over sessions",
                        "",
                        f"{_p(found.p_value)}, Holm {_p(adjusted)}",
                    ]
                )
            rows.append(
                [
                    *which,
                    "signs, exact test",
                    f"{found.above} of {len(found.sessions)}",
                    _p(found.sign_p),
                ]
            )
    table = page.table(
        ["run", "task", "score", "session", f"over {reference}", "95 % (sessions: over trials)"],
        rows,
    )
    return [page.folded("Session by session", table)]


def _ends(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _p(value: float | None) -> str:
    return "-" if value is None else f"p = {value:.2g}"
