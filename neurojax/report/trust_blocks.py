"""The parts of a report that hold the model against its strongest baseline and say how far its
scores can be trusted, as HTML."""

from collections.abc import Callable, Mapping
from typing import Any

from neurojax.evals import best_baseline, drift_note, tables, with_stack
from neurojax.evals.best_baseline import Paired
from neurojax.report import page, seeds
from neurojax.scores import intervals, sign_test

PREDICTORS = ("model", tables.WITH_STACK)


def seed_table(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: a row a seed, and the interval over seeds; [] for an evaluation of one seed."""
    if "seeds" not in evaluation:
        return []
    heads = ["", *map(tables.label, evaluation["mean"])]
    rows = seeds.rows_of(evaluation, "±\u00a0")
    caption = f"mean of sessions; ± {seeds.words(evaluation)}"
    return [page.folded("Seeds", page.table(heads, rows, caption=caption))]


def leak_checks(evaluation: Mapping[str, Any]) -> list[str]:
    """A sentence on what was looked for and in how many sessions; an evaluation in which one fails
    does not exist."""
    found = [
        session["leak_checks"]
        for session in evaluation["sessions"].values()
        if session.get("leak_checks")
    ]
    if not found:
        return []
    parts = [
        f"{words} ({sum(checks.get(name) == 'passed' for checks in found)} of {len(found)} "
        "sessions)"
        for name, words in (
            ("trained", "no test trial is one the run was trained on"),
            ("copies", "none repeats a training trial"),
            ("overlap", "no trial shares bins with another split"),
            ("normalised", "mean rates come from the train split alone"),
            ("influence", "changing hidden counts moves no rate by as little as a bit"),
        )
    ]
    return [
        page.paragraph(
            f"Leak checks passed: {'; '.join(parts)}. An evaluation in which one fails stops."
        )
    ]


def drift_warning(evaluation: Mapping[str, Any]) -> list[str]:
    """A paragraph where a split lets drift leak from train to test trials; else []."""
    line = drift_note.line(evaluation)
    return [page.paragraph(f"Warning: {line}.")] if line else []


def calibration_table(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: a row a session and task with spikes seen for each predicted, and dispersion; []
    without any."""
    rows = []
    for task in tables.tasks_of(evaluation):
        for key, session in evaluation["sessions"].items():
            block = (session.get("calibration") or {}).get(task)
            if not block:
                continue
            ratio = _with_ends(block, "observed_over_predicted")
            spread = [block.get(f"dispersion_{name}") or {} for name in ("bins", "trials")]
            rows.append(
                [tables.label(task), key, ratio, *(_with_ends(found, "median") for found in spread)]
            )
    if not rows:
        return []
    heads = ["task", "session", "seen / predicted", "dispersion in bins", "in trials"]
    caption = (
        "spikes seen for each spike predicted, and the median over units of the dispersion "
        "around the predicted rates "
        "(1: as variable as Poisson counts); 95 % intervals over trials in brackets"
    )
    return [page.folded("Calibration", page.table(heads, rows, caption=caption))]


def region_table(evaluation: Mapping[str, Any], most: int = 200) -> list[str]:
    """Folded: a row a session and pair of regions, the strongest first; [] without any."""
    blocks = {
        key: session["regions"]
        for key, session in evaluation["sessions"].items()
        if session.get("regions")
    }
    rows = [row for key, block in blocks.items() for row in _pairs(key, block)]
    if not rows:
        return []
    rows.sort(key=lambda row: -row[3])
    shown = [[*row[:3], *map(tables.show, row[3:])] for row in rows[:most]]
    draws = max(block["num_permutations"] for block in blocks.values())
    notes = sorted({block["alone"]["note"] for block in blocks.values()})
    fewer = f"; the {most} strongest of {len(rows)} pairs" if len(rows) > most else ""
    caption = (
        f"bits/spike, pooled{fewer}. Alone: the target from the source alone "
        f"({'; '.join(notes)}); null: the mean of "
        f"{draws} permutations of the source's trials within the test split. Loss: what the "
        "target loses when the "
        "source is hidden too, p by sign flips of trials. p is of one pair; q is adjusted for "
        "all pairs of the session "
        "(Benjamini-Hochberg): read q where several pairs are looked at."
    )
    heads = ["session", "source", "target", "alone", "null", "p", "q", "loss without", "p", "q"]
    return [page.folded("Regions, pair by pair", page.table(heads, shown, caption=caption))]


def _pairs(key: str, block: Mapping[str, Any]) -> list[tuple]:
    names, alone, drop = block["names"], block["alone"], block.get("drop")
    rows, tests = [], ("p_value", "q_value")
    for i, source in enumerate(names):
        for j, target in enumerate(names):
            if i == j or alone["bps_pooled"][i][j] is None:
                continue
            parts = [alone[name] for name in ("bps_pooled", "null_bps_pooled", *tests)]
            parts += [drop[name] for name in ("bps_pooled", *tests)] if drop else []
            cells = [part[i][j] for part in parts]
            rows.append((key, source, target, *cells, *[None] * (7 - len(cells))))
    return rows


def signs(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: each session's sign of model minus its baseline, and what their number supports."""
    tasks = tables.tasks_of(evaluation)
    means = {task: (evaluation.get("mean") or {}).get(task) or {} for task in tasks}
    found = {task: mean.get("paired_mean") or {} for task, mean in means.items()}
    found = {task: block for task, block in found.items() if block.get("signs")}
    if not found:
        return []
    words, by_task = {1: "+", -1: "−", 0: "0"}, [block["signs"] for block in found.values()]
    rows = [
        [key, *(words.get(signs.get(key), "") for signs in by_task)]
        for key in evaluation["sessions"]
    ]
    p_values = (tables.show(sign_test.p_value(list(signs.values()))) for signs in by_task)
    rows.append(["two-sided p of the signs", *p_values])
    name = best_baseline.common_name(
        [best_baseline.paired(evaluation, task).best for task in found]
    )
    table = page.table(
        ["session", *map(tables.label, found)], rows, caption=f"sign of model − {name}"
    )
    most = max(map(len, by_task))
    sentence = page.paragraph(sign_test.sentence(most))
    return [page.folded("Sign of each session", sentence, table)]


def _with_ends(block: Mapping[str, Any], name: str) -> str:
    ends = tables.interval_of(block, f"{name}_ci95")
    return tables.with_ends(tables.number(block.get(name)), ends, 2)


def verdict(evaluation: Mapping[str, Any]) -> list[str]:
    """A sentence a predictor on what holds over sessions: on which tasks it is above its baseline,
    below, or neither; [] without intervals over sessions."""
    sentences = []
    for predictor in PREDICTORS:
        pairs = _pairs_of(evaluation, predictor)
        words: dict[str, list[str]] = {}
        for task, pair in pairs.items():
            if pair.score.over == "sessions":
                words.setdefault(_so(pair), []).append(tables.label(task))
        if words:
            name = tables.label(predictor)
            parts = (f"{so} on {', '.join(tasks)}" for so, tasks in words.items())
            sentences.append(f"{name[0].upper()}{name[1:]}: {'; '.join(parts)}.")
    if not sentences:
        return []
    return [page.paragraph(f"{' '.join(sentences)} Over sessions, after Holm's correction.")]


def _pairs_of(evaluation: Mapping[str, Any], predictor: str) -> dict[str, Paired]:
    pairs = {
        task: best_baseline.paired(evaluation, task, predictor)
        for task in tables.tasks_of(evaluation)
    }
    return {task: pair for task, pair in pairs.items() if pair.score.value is not None}


def paired_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: the model, and its mixture with the stack, minus the chosen baseline."""
    blocks = []
    for predictor in PREDICTORS:
        if table := paired_table(evaluation, predictor):
            note = with_stack.line(evaluation) if predictor == tables.WITH_STACK else ""
            words = [page.paragraph(f"{note[0].upper()}{note[1:]}.")] if note else []
            name = tables.label(predictor)
            pairs = _pairs_of(evaluation, predictor).values()
            over = best_baseline.common_name([pair.best for pair in pairs])
            summary = f"{name[0].upper()}{name[1:]} against {over}, paired"
            blocks.append(page.folded(summary, *table, *words))
    return blocks


def paired_table(evaluation: Mapping[str, Any], predictor: str = "model") -> list[str]:
    """A predictor (see `best_baseline.paired`) minus the chosen baseline with intervals over
    sessions, animals and trials, and what holds; [] without."""
    pairs = _pairs_of(evaluation, predictor)
    if not pairs:
        return []
    bests = [pair.best for pair in pairs.values()]
    name = best_baseline.common_name(bests)
    scores = [pair.score for pair in pairs.values()]
    in_general = any(score.over == "sessions" for score in scores)
    num_tests = sum(pair.p_value is not None for pair in pairs.values())
    head = f"{tables.label(predictor)} − {name}"
    rows: list[tuple[bool, str, Callable[[Paired], str]]] = [  # (is shown, name, cell)
        (True, head, lambda pair: tables.difference_text(pair.score, "±\u00a0")),
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


def _ends(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"[{ends[0]:+.3f},\u00a0{ends[1]:+.3f}]"
