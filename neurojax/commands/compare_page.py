"""The HTML page of `neurojax compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurojax.commands.compare_rows import (
    Part,
    Records,
    above_first,
    cost_rows,
    difference_words,
    holm,
    notes_on,
    only,
    parts_of,
    scored_by_all,
    value,
)
from neurojax.evals import tables
from neurojax.report import page
from neurojax.report.figures import differences, scores, style
from neurojax.report.paired_runs import Difference
from neurojax.report.score_groups import drawn_groups, score_groups, score_words, short_words
from neurojax.scores import sign_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def page_of(evaluations: Records, session_ids: Sequence[str], warnings: Sequence[str]) -> str:
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
    tables_of_parts = [
        (score_words(part.metric), _table(part, reference, len(session_ids)))
        for part in parts_of(evaluations, session_ids, "±\u00a0")
    ]
    costs = cost_rows(evaluations)
    title = f"neurojax: {len(evaluations)} runs compared"
    return page.page(
        title,
        page.heading(title, 1),
        page.paragraph(f"protocol {protocol} · {len(session_ids)} shared sessions", soft=True),
        *(page.paragraph(f"Warning: {warning}.") for warning in warnings),
        _difference_picture(evaluations, session_ids),
        *(table for _, table in tables_of_parts[:1]),
        *(page.paragraph(line, soft=True) for line in notes_on(evaluations, session_ids)),
        page.heading("More"),
        page.folded(
            "Scores of each run",
            page.picture(
                drawn(evaluations, session_ids),
                f"A grey line a session; diamonds: mean over sessions, bars: {_bars(session_ids)}.",
                wide=len(evaluations) > 3,
            ),
        ),
        *(page.folded(f"Scores: {words}", table) for words, table in tables_of_parts[1:]),
        *_session_differences(evaluations, session_ids),
        page.folded("Costs", page.table(costs[0], costs[1:])) if costs else "",
        page.folded("Runs", page.table(["run", "step", "seed", "config hash", "data"], identity)),
    )


def _difference_picture(evaluations: Records, session_ids: Sequence[str]) -> str:
    """What later runs are above or below the first."""
    return page.picture(
        _differences(evaluations, session_ids),
        f"Difference from {next(iter(evaluations))}: a grey dot a session with its 95 % interval "
        f"over trials, where it has one; diamonds the mean, bars: {_bars(session_ids)}, paired "
        "within sessions. Above zero is better than it.",
        wide=len(evaluations) > 4,
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


def drawn(evaluations: Records, session_ids: Sequence[str]) -> bytes:
    """PNG of a panel a metric and task: a line a session across the runs, means with 95 % intervals
    on top."""
    names = [tables.shorten(name, 18) for name in evaluations]

    def draw(place: Axes, metric: str, task: str) -> None:
        keys = scored_by_all(evaluations, session_ids, task, metric)
        values = [[value(e, key, task, metric) for e in evaluations.values()] for key in keys]
        means = [
            tables.mean_score(only(e, keys), "model", task, metric) for e in evaluations.values()
        ]
        scores.paired_runs(
            place,
            names,
            np.array(values).reshape(len(keys), len(names)),
            [np.nan if score.value is None else score.value for score in means],
            [np.nan if score.half is None else score.half for score in means],
            title=f"{tables.label(task)} (n = {len(keys)})",
            ylabel=short_words(metric),
            bars=scores.bar_words(len(keys)),
        )

    return _panels(evaluations, max(3.6, 1.0 + 0.8 * len(names)), draw)


def _differences(evaluations: Records, session_ids: Sequence[str]) -> bytes:
    later = list(evaluations)[1:]
    names = [tables.shorten(name, 18) for name in later]

    def draw(place: Axes, metric: str, task: str) -> None:
        found = [above_first(evaluations, run, session_ids, metric, [task])[task] for run in later]
        bars = scores.bar_words(len(scored_by_all(evaluations, session_ids, task, metric)))
        look = {"title": tables.label(task), "score": short_words(metric), "bars": bars}
        differences.differences(place, names, found, **look)

    return _panels(evaluations, max(3.6, 1.2 + 0.9 * len(names)), draw)


def _panels(evaluations: Records, width_in: float, draw: Callable[[Axes, str, str], None]) -> bytes:
    """PNG of a panel `width_in` wide for every metric and task that figures show."""
    groups = drawn_groups(*evaluations.values())
    panels = [(metric, task) for metric, tasks in groups.items() for task in tasks]
    columns = 2 if len(panels) > 1 else 1
    rows = max(1, math.ceil(len(panels) / columns))
    with style.context():
        figure, axes = style.new_figure(width_in * columns, 2.9 * rows, rows, columns)
        for place, (metric, task) in zip(axes.flat, panels, strict=False):
            draw(place, metric, task)
        for place in axes.flat[len(panels) :]:
            place.set_axis_off()
        return style.png_bytes(figure)


def _session_differences(evaluations: Records, session_ids: Sequence[str]) -> list[str]:
    """Folded: a row a later run, score, task and session, with the paired interval."""
    reference, *later = evaluations
    groups = score_groups(*evaluations.values())
    rows = []
    for name in later:
        for metric, tasks in groups.items():
            found = above_first(evaluations, name, session_ids, metric, tasks)
            adjusted = holm(found)
            for task, one in found.items():
                which = [name, tables.label(task), score_words(metric)]
                rows += [[*which, *cells] for cells in _cells(one, adjusted[task])]
    table = page.table(
        ["run", "task", "score", "session", f"over {reference}", "95 % (sessions: over trials)"],
        rows,
    )
    sentence = page.paragraph(sign_test.sentence(len(session_ids)), soft=True)
    return [page.folded("Session by session", sentence, table)]


def _cells(found: Difference | None, p_holm: float | None) -> list[list[str]]:
    """What a run is above the first on one task: a row a session, then what holds over them."""
    if found is None:
        return []
    mean = f"{found.mean:+.3f}"
    over_sessions = [
        ["mean, over sessions (t)", mean, _ends(found.ci95)],
        ["paired t over sessions", "", f"{_p(found.p_value)}, Holm {_p(p_holm)}"],
    ]
    return [
        *([key, f"{one:+.3f}", _ends(ends)] for key, (one, ends) in found.sessions.items()),
        ["mean, over trials of these sessions", mean, _ends(found.trials_ci95)],
        *(over_sessions if len(found.sessions) > 1 else ()),
        ["signs, exact test", f"{found.above} of {len(found.sessions)}", _p(found.sign_p)],
    ]


def _ends(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _p(value: float | None) -> str:
    return "-" if value is None else f"p = {value:.2g}"
