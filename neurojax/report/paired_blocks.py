"""The part of a report that holds the model against its strongest baseline, as HTML."""

from collections.abc import Mapping
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
    rows = [
        [
            f"model − {name}",
            *(tables.difference_text(pair.score, "±\u00a0") for pair in pairs.values()),
        ]
    ]
    if names := best_baseline.names_of(bests):
        rows.append(["which baseline", *names])
    in_general = any(pair.score.over == "sessions" for pair in pairs.values())
    if in_general:
        rows.append(
            ["95 % over sessions (t)", *(_ends(pair.score.ci95) for pair in pairs.values())]
        )
    if any(pair.animals for pair in pairs.values()):
        rows.append(["95 % over animals (t)", *(_animals(pair) for pair in pairs.values())])
    rows.append(
        [
            "95 % over trials of these sessions alone",
            *(_ends(pair.trials_ci95) for pair in pairs.values()),
        ]
    )
    rows.append(
        [
            "sessions above",
            *(f"{pair.above} of {pair.score.num_sessions}" for pair in pairs.values()),
        ]
    )
    if in_general:
        rows.append(["p over sessions (paired t)", *(_p(pair.p_value) for pair in pairs.values())])
        num_tests = sum(pair.p_value is not None for pair in pairs.values())
        rows.append(
            [
                f"p, Holm over {num_tests} tasks" if num_tests else "p, Holm",
                *(_p(pair.p_holm) for pair in pairs.values()),
            ]
        )
        rows.append(["so, over sessions", *(_so(pair) for pair in pairs.values())])
    words = tables.interval_words([pair.score for pair in pairs.values()], evaluation)
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
    return [page.table(["paired", *map(tables.label, pairs)], rows, caption=caption)]


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
