"""The parts of a report that hold scores, as HTML: means, sessions, what is missing and how to read
it."""

from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.evals import best_baseline, protocol_record, protocols, tables
from neurojax.report import page
from neurojax.report.score_groups import score_groups, score_words

_OTHER_METRICS = (
    *(
        "bps_unit_mean",
        "bps_unit_median",
        "bps_pooled",
        "bps_pooled_train_null",
        "d2_pooled",
        "d2_unit_mean",
    ),
    *("psth_r2_unit_mean", "single_trial_r2_unit_mean", "behaviour_r2"),
)


def _where(evaluation: Mapping[str, Any]) -> str:
    number = len(evaluation["sessions"])
    return "one session" if number == 1 else f"mean over {number} sessions"


def headline_table(evaluation: Mapping[str, Any]) -> list[str]:
    """Model, baselines and oracles in the mean over sessions, in the measure of the protocol's
    first task."""
    groups = score_groups(evaluation)
    if not groups:
        return [page.paragraph("No session was scored.")]
    metric, tasks = next(iter(groups.items()))
    return [_means(evaluation, metric, tasks, _where(evaluation))]


def further_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: the same in every other measure; wins; the model's other metrics."""
    first, *others = score_groups(evaluation).items() or [None]
    if first is None:
        return []
    where = _where(evaluation)
    blocks = [
        page.folded(f"Scores: {score_words(metric)}", _means(evaluation, metric, tasks, where))
        for metric, tasks in others
    ]
    tasks = tables.tasks_of(evaluation)
    heads = [tables.label(task) for task in tasks]
    contest = [
        name
        for name in tables.predictors_of(evaluation)
        # the model itself is a part of the mixture
        if not tables.is_oracle(name) and name != tables.WITH_STACK
    ]
    if len(evaluation["sessions"]) > 1 and len(contest) > 1:
        rows = []
        for name in contest[1:]:
            wins = [tables.wins(evaluation, name, task, None) for task in tasks]
            cells = [f"{above} of {both}" if both else "-" for above, both in wins]
            rows += [[tables.label(name), *cells]] if set(cells) != {"-"} else []
        table = page.table(["model above", *heads], rows)
        blocks.append(page.folded("Sessions in which the model is above", table))
    scores = {
        name: [tables.mean_score(evaluation, "model", task, name) for task in tasks]
        for name in _OTHER_METRICS
    }
    rows = [
        [
            score_words(name),
            *(tables.mean_text(score, score.num_sessions, "±\u00a0") for score in row),
        ]
        for name, row in scores.items()
        if any(score.value is not None for score in row)
    ]
    words = tables.interval_words([score for row in scores.values() for score in row], evaluation)
    caption = f"{where}; ± {words}" if words else where
    table = page.table(["", *heads], rows, caption=caption)
    return [*blocks, page.folded("Other metrics of the model", table)]


def _means(evaluation: Mapping[str, Any], metric: str, tasks: Sequence[str], where: str) -> str:
    """One metric of its tasks: a row a predictor that has it, the best without the truth
    underlined."""
    columns = [tables.mean_scores(evaluation, task, metric) for task in tasks]
    names = [
        name for name in columns[0] if any(column[name].value is not None for column in columns)
    ]
    if not names:
        named = ", ".join(map(tables.label, tasks))
        sentence = (
            f"{named} ({score_words(metric)}): no session has a score. The reasons are below."
        )
        return page.paragraph(sentence, soft=True)
    most = [max(score.num_sessions for score in column.values()) for column in columns]
    rows = [
        [
            tables.label(name),
            *(
                tables.mean_text(column[name], count, "±\u00a0")
                for column, count in zip(columns, most, strict=True)
            ),
        ]
        for name in names
    ]
    strong = set()
    for number, column in enumerate(columns):
        known = [
            (column[n].value, n)
            for n in names
            if not tables.is_oracle(n) and column[n].value is not None
        ]
        if known:
            strong.add((names.index(max(known)[1]), number + 1))
    if metric.startswith(("bps_", "d2_")):
        for oracle in (name for name in names if tables.is_oracle(name)):
            shares = [tables.share(evaluation, oracle, task, metric) for task in tasks]
            rows.append([f"model as share of {tables.label(oracle)}", *shares])
    words = tables.interval_words(
        [score for column in columns for score in column.values()], evaluation
    )
    error = f"; ± {words}" if words else ""
    caption = f"{score_words(metric)}; {where}{error}; underlined: best without the truth"
    heads = ["", *map(tables.label, tasks)]
    return page.table(
        heads, rows, caption=caption, marked={0} if names[0] == "model" else (), strong=strong
    )


_MEANINGS = {
    "d2_unit_mean": (
        "Poisson D2 of a unit = 1 − deviance of the prediction / deviance of the null: 1 is "
        "perfect, 0 is the null. In the mean over units a quiet unit weighs as much as a busy "
        "one."
    ),
    "psth_r2_unit_mean": (
        "R2 of PSTHs: between the condition averages of predicted rates and of counts over test "
        "trials, unit by unit. R2 of single trials: the same once these averages are taken out of"
        " both sides, low wherever counts are mostly Poisson noise. Neither has an interval over "
        "trials."
    ),
    "behaviour_r2": (
        "R2 of the behaviour: read by ridge regression from the predicted rates of all units, bin"
        " by bin; fitted on train trials, scored on test trials; intervals over test trials."
    ),
}


def explanation(evaluation: Mapping[str, Any]) -> list[str]:
    """What the numbers are: the measures, their null, what each task hides, in the protocol's own
    words, and notes."""
    groups = score_groups(evaluation)
    protocol = protocols.of_evaluation(evaluation)
    blocks = [
        page.paragraph(
            "Bits/spike = (null negative log-likelihood − model negative log-likelihood) / "
            "(spikes × ln 2), "
            "Poisson, on entries of test trials that were hidden from the predictor. Pooled: "
            "sums over all "
            "scored units and bins before the division, so busy units weigh more. Zero is the "
            "null, higher "
            "is better. Intervals of a mean are over sessions (Student's t: wide where sessions "
            "are few, since so few "
            "say little of others), those of one session over its test trials (bootstrap), for "
            "that session alone. "
            "Units without a spike in the scored entries count in no score, so what is predicted "
            "of them costs nothing."
        )
    ]
    if protocol is not None:
        null, train_null = (
            protocol_record.NULL_WORDS[name] for name in (protocol.null, protocol.train_null)
        )
        blocks.append(
            page.paragraph(
                f"Null: {null}; it knows the test mean. Train-mean null: {train_null}, "
                "which a predictor could know. Baselines are fitted on the train split, tuned on "
                "the "
                "validation split and scored on the same entries as the model."
            )
        )
    blocks += [page.paragraph(words) for metric, words in _MEANINGS.items() if metric in groups]
    if any(tables.is_oracle(name) for name in tables.predictors_of(evaluation)):
        blocks.append(
            page.paragraph(
                "The oracle is scored with the rates that generated the spikes, which nobody who "
                "sees only "
                "the spikes can know; other lines set apart with it know part of the truth."
            )
        )
    if line := _reliability(evaluation):
        blocks.append(page.paragraph(line))
    notes = [
        note for session in evaluation["sessions"].values() for note in session.get("notes") or ()
    ]
    blocks += [
        page.paragraph(
            f"Note, {notes.count(note)} of {len(evaluation['sessions'])} sessions: {note}."
        )
        for note in dict.fromkeys(notes)
    ]
    hidden = {} if protocol is None else {name: task.words for name, task in protocol.tasks.items()}
    rows = [
        [tables.label(task), hidden[task]] for task in tables.tasks_of(evaluation) if task in hidden
    ]
    return (
        [*blocks, page.table(["task", "what is hidden and scored"], rows, wrap=True)]
        if rows
        else blocks
    )


def _reliability(evaluation: Mapping[str, Any]) -> str:
    """A sentence on how well the recordings' own PSTHs repeat; empty where the record does not
    say."""
    sessions = {
        key: session
        for key, session in evaluation["sessions"].items()
        if "psth_reliability" in session
    }
    values = {key: tables.number(session["psth_reliability"]) for key, session in sessions.items()}
    known = {key: value for key, value in values.items() if value is not None}
    reasons = {
        str(sessions[key].get("psth_reliability_reason")) for key in sessions if key not in known
    }
    missing = (
        f"Not known for {len(sessions) - len(known)} of {len(sessions)} sessions: "
        f"{'; '.join(sorted(reasons))}."
    )
    if not known:
        return f"Split-half reliability of the PSTHs. {missing}" if sessions else ""
    mean, low, high = sum(known.values()) / len(known), min(known.values()), max(known.values())
    spread = (
        ""
        if len(known) == 1
        else f" (mean of {len(known)} sessions, {tables.show(low)} to {tables.show(high)})"
    )
    text = (
        f"Split-half reliability of the PSTHs: {tables.show(mean)}{spread}, corrected to all "
        "trials (Spearman-Brown), "
        "mean over units of 1 Hz or more. It is the share of the variance of measured PSTHs that "
        "repeats, a ceiling "
        "for their prediction."
    )
    return text if len(known) == len(sessions) else f"{text} {missing}"


def session_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """For each metric and task a row a session: model with interval, every baseline that has it,
    oracles."""
    blocks = []
    for metric, tasks in score_groups(evaluation).items():
        for task in tasks:
            table = _session_table(evaluation, metric, task)
            is_headline = metric == tables.headline(evaluation, task)
            name = (
                tables.label(task)
                if is_headline
                else f"{tables.label(task)}: {score_words(metric)}"
            )
            blocks.append(page.folded(name, table, is_open=not blocks))
    return blocks


def _session_table(evaluation: Mapping[str, Any], metric: str, task: str) -> str:
    sessions = evaluation["sessions"]
    chosen = best_baseline.best_baselines(sessions, [task]).get(task)
    others = [
        name
        for name in tables.predictors_of(evaluation)[1:]
        if any(
            tables.session_score(session, name, task, metric).value is not None
            for session in sessions.values()
        )
    ]
    rows = []
    for key, session in sessions.items():
        model = tables.session_score(session, "model", task, metric)
        other = chosen and tables.session_score(session, chosen.name, task, metric).value
        ahead = None if model.value is None or other is None else model.value - other
        rows.append(
            [
                key,
                tables.task_block(session, "model", task).get("num_units_scored", "-"),
                session.get("num_test_trials", "-"),
                tables.with_ends(model.value, model.ci95),
                "-" if ahead is None else f"{ahead:+.3f}",
                *(
                    tables.show(tables.session_score(session, name, task, metric).value)
                    for name in others
                ),
            ]
        )
    over = "baseline" if chosen is None else best_baseline.common_name([chosen])
    heads = [
        "session",
        "units",
        "trials",
        "model [95 %]",
        f"over {over}",
        *map(tables.label, others),
    ]
    caption = f"{score_words(metric)}; units scored; test trials; 95 % over the session's trials"
    return page.table(heads, rows, caption=caption)


def reasons(evaluation: Mapping[str, Any], most: int = 40) -> list[str]:
    """Why a score is missing, a line for each reason."""
    places: dict[str, dict[str, None]] = {}  # reason -> where, each once
    for key, session in evaluation["sessions"].items():
        for predictor in tables.predictors_of(evaluation):
            for task in tables.tasks_of(evaluation):
                for name, value in tables.task_block(session, predictor, task).items():
                    if name.endswith("_reason") and value:
                        where = f"{key}, {tables.label(predictor)}, {tables.label(task)}"
                        places.setdefault(str(value), {})[where] = None
    if not places:
        return []
    rows = [
        [
            reason,
            "; ".join([*names][:4]) + (f"; and {len(names) - 4} more" if len(names) > 4 else ""),
        ]
        for reason, names in places.items()
    ]
    return [
        page.folded(
            "Scores that could not be computed",
            page.table(["reason", "where"], rows[:most], wrap=True),
        )
    ]
