"""The table of scores that an evaluation prints."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.evals import best_baseline, tables
from neurojax.evals.best_baseline import Best, Paired
from neurojax.evals.tables import Score, is_oracle, label, mean_scores, shorten
from neurojax.report import score_groups

_WIDTH = 100
_AT_ONCE = len(tables.TASK_LABELS)  # tasks beside each other


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Model beside baselines and oracle in the mean over sessions, a line a session; at most 100
    columns.

    All numbers are the tasks' headlines, for most of them bits/spike pooled over units and bins; +-
    is half of the 95 % interval over what the legend says; "-" where there is no score.
    """
    sessions, tasks = evaluation["sessions"], tables.tasks_of(evaluation)
    chosen = best_baseline.best_baselines(sessions, tasks)
    means = {task: mean_scores(evaluation, task, None) for task in tasks}
    pairs, mixed = (
        {task: best_baseline.paired(evaluation, task, name) for task in tasks}
        for name in ("model", tables.WITH_STACK)
    )
    lines = []
    for first in range(0, len(tasks), _AT_ONCE):
        part = tasks[first : first + _AT_ONCE]
        rows = [
            *_mean_rows(evaluation, {task: means[task] for task in part}),
            *_paired_rows([pairs[task] for task in part]),
            *_paired_rows([mixed[task] for task in part], tables.label(tables.WITH_STACK)),
            [""] * (len(part) + 1),
            ["session, units, test trials", *map(label, part)],
        ]
        for key, session in zip(tables.short_names(sessions, 18), sessions.values(), strict=True):
            size = f"{session.get('num_units', '-')}, {session.get('num_test_trials', '-')}"
            cells = (_session_cell(session, task, chosen.get(task)) for task in part)
            rows.append([f"{key}, {size}", *cells])
        lines += [*tables.align(rows), ""]
    lines += score_groups.legend({label(task): tables.headline(evaluation, task) for task in tasks})
    shown = [score for scores in means.values() for score in scores.values()]
    if words := tables.interval_words(shown, evaluation):
        most = {label(task): _most_sessions(means[task]) for task in tasks}
        fewer = [f"{task} over {n}" for task, n in most.items() if 0 < n < len(sessions)]
        lines.append(f"+- {words}" + (f"; {', '.join(fewer)}" if fewer else ""))
    if any("*" in line for line in lines):
        lines.append("* mean over fewer sessions than the model")
    lines += _legend_of_paired(list(pairs.values()), list(chosen.values()))
    # an empty line stays one
    wrapped = (textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""] for line in lines)
    return "\n".join(part for parts in wrapped for part in parts)


def _most_sessions(scores: Mapping[str, Score]) -> int:
    return max(score.num_sessions for score in scores.values())


def _mean_rows(
    evaluation: Mapping[str, Any], means: Mapping[str, Mapping[str, Score]]
) -> list[list[str]]:
    """A row a predictor, a star where sessions are missing; the model's share of each oracle."""
    sessions, predictors = evaluation["sessions"], tables.predictors_of(evaluation)
    head = "one session" if len(sessions) == 1 else f"mean of {len(sessions)} sessions"
    rows = [[head, *map(label, means)]]
    has_model = any(session.get("tasks") for session in sessions.values())
    for name in predictors if has_model else predictors[1:]:
        cells = []
        for scores in means.values():
            number = scores[name].num_sessions
            star = "*" * (0 < number < _most_sessions(scores))
            cells.append(tables.mean_text(scores[name], number) + star)
        rows.append([shorten(label(name), 24), *cells])
    for name in filter(is_oracle, predictors):
        shares = (tables.share(evaluation, name, task, None) for task in means)
        rows.append([f"model / {shorten(label(name), 16)}", *shares])
    return rows


def _paired_rows(pairs: Sequence[Paired], predictor: str = "model") -> list[list[str]]:
    """The predictor minus the chosen baseline: the difference, whose it is, over animals, signs and
    what Holm leaves."""
    known = [pair for pair in pairs if pair.score.value is not None]
    if not known:
        return []
    bests = [pair.best for pair in known]
    name = best_baseline.common_name(bests)
    rows = [[f"{predictor} - {name}", *(tables.difference_text(pair.score) for pair in pairs)]]
    if best_baseline.names_of(bests):
        rows.append(["  which", *best_baseline.names_of([pair.best for pair in pairs])])
    if any(pair.animals for pair in known):
        number = max(pair.num_animals for pair in known if pair.animals)
        cells = (tables.difference_text(pair.animals or Score(None)) for pair in pairs)
        rows.append([f"  over {number} animals", *cells])
    above = (f"{pair.above} of {pair.score.num_sessions}" for pair in pairs)
    rows.append(["  sessions above", *above])
    if any(pair.score.over == "sessions" for pair in known):
        rows.append(["  over sessions, Holm", *map(verdict_text, pairs)])
    return rows


def verdict_text(pair: Paired) -> str:
    """`above, p 0.012` or `not resolved`; a dash without a difference."""
    if pair.score.value is None:
        return "-"
    p = "" if pair.verdict == "not resolved" else f", p {pair.p_holm:.2g}"
    return pair.verdict + p


def _legend_of_paired(pairs: Sequence[Paired], chosen: Sequence[Best]) -> list[str]:
    bests = [pair.best for pair in pairs if pair.score.value is not None]
    lines = []
    if bests:
        name = best_baseline.common_name(bests)
        lines.append(f"model - {name}: paired within sessions; {best_baseline.how_chosen(bests)}")
    if any(pair.score.over == "sessions" for pair in pairs):
        lines.append(
            "above, below: intervals over sessions, animals exclude zero; p < 0.05 (paired t, "
            "Holm over tasks)"
        )
    if chosen:
        lines.append(f"per session: model, in brackets {best_baseline.common_name(chosen)}")
    return lines


def _session_cell(session: Mapping[str, Any], task: str, best: Best | None) -> str:
    names = ("model", str(best.name)) if best else ("model", "")
    shown = [tables.session_score(session, name, task, None).value for name in names]
    return f"{tables.show(shown[0])} ({tables.show(shown[1])})"
