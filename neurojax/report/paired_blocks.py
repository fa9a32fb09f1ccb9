"""The part of a report that holds the model against its strongest baseline, as HTML."""

from collections.abc import Callable, Mapping
from typing import Any

from neurojax.evals import best_baseline, tables
from neurojax.evals.best_baseline import Paired
from neurojax.report import page
from neurojax.scores import intervals

Ends = tuple[float, float] | None


def paired_table(evaluation: Mapping[str, Any]) -> list[str]:
    """Model minus the chosen baseline with intervals over sessions, animals and trials, and what
    holds; [] without."""
    pairs = {task: best_baseline.paired(evaluation, task) for task in tables.tasks_of(evaluation)}
    pairs = {task: pair for task, pair in pairs.items() if pair.score.value is not None}
    if not pairs:
        return []
    bests = [pair.best for pair in pairs.values()]
    name = best_baseline.common_name(bests)
    scores = [pair.score for pair in pairs.values()]
    in_general = any(score.over == "sessions" for score in scores)
    num_tests = sum(pair.p_value is not None for pair in pairs.values())
    rows: list[tuple[bool, str, Callable[[Paired], str]]] = [  # (is shown, name, cell)
        (True, f"model − {name}", lambda pair: tables.difference_text(pair.score, "±\u00a0")),
        (in_general, "95 % over sessions (t)", lambda pair: _ends(pair.score.ci95)),
        (any(pair.animals for pair in pairs.values()), "95 % over animals (t)", _animals),
        (True, "95 % over trials of these sessions alone", lambda pair: _ends(pair.trials_ci95)),
        (True, "sessions above", lambda pair: f"{pair.above} of {pair.score.num_sessions}"),
        (in_general, "p over sessions (paired t)", lambda pair: _p(pair.p_value)),
        (
            in_general,
            f"p, Holm over {num_tests} tasks" if num_tests else "p, Holm",
            lambda pair: _p(pair.p_holm),
        ),
        (in_general, "so, over sessions", _so),
    ]
    table = [[name, *map(cell, pairs.values())] for is_shown, name, cell in rows if is_shown]
    if names := best_baseline.names_of(bests):
        table.insert(1, ["which baseline", *names])
    words = tables.interval_words(scores, evaluation)
    caption = (
        f"bits/spike, pooled; paired within sessions{f'; ± {words}' if words else ''}; "
        f"{best_baseline.how_chosen(bests)}"
    )
    if in_general:
        caption += (
            "; above or below where the intervals over sessions and over animals exclude zero and "
            f"p < {intervals.MAX_P:g} after Holm; an interval over trials says nothing of other "
            "sessions"
        )
    return [page.table(["paired", *map(tables.label, pairs)], table, caption=caption)]


def _so(pair: Paired) -> str:
    if pair.verdict == "not resolved":
        return pair.verdict
    return f"{pair.verdict} {'it' if pair.best.name is None else tables.label(pair.best.name)}"


def _animals(pair: Paired) -> str:
    if pair.animals is None:
        return "-"
    return f"{_ends(pair.animals.ci95)} around {pair.animals.value:+.3f} (n={pair.num_animals})"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _ends(ends: Ends) -> str:
    return "-" if ends is None else f"[{ends[0]:+.3f},\u00a0{ends[1]:+.3f}]"
