"""The parts of a report that hold scores, as HTML: means, sessions, what is missing and how to read it."""

from collections.abc import Mapping
from typing import Any

from neurojax.evals import page, protocol_record, protocols, tables

_OTHER_METRICS = {
    "bps_unit_mean": "bits/spike, mean of units",
    "bps_unit_median": "bits/spike, median of units",
    "bps_pooled": "bits/spike, pooled",
    "bps_pooled_train_null": "bits/spike, pooled, train-mean null",
    "d2_pooled": "Poisson D2, pooled",
    "d2_unit_mean": "Poisson D2, mean of units",
    "psth_r2_unit_mean": "R2 of PSTHs, mean of units",
    "single_trial_r2_unit_mean": "R2 of single trials less PSTHs, mean of units",
    "behaviour_r2": "R2 of the behaviour",
}


def mean_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """Model, baselines and oracles in the mean over sessions; wins per session; the model's other metrics."""
    tasks, predictors = tables.tasks_of(evaluation), tables.predictors_of(evaluation)
    if not tasks:
        return [page.paragraph("No session was scored.")]
    heads = [tables.label(task) for task in tasks]
    columns = [tables.mean_scores(evaluation, task) for task in tasks]
    means = {name: [column[name] for column in columns] for name in predictors}
    most = [max(score.num_sessions for score in column.values()) for column in columns]
    rows = [
        [
            tables.label(name),
            *(tables.mean_text(score, count, "±\u00a0") for score, count in zip(row, most, strict=True)),
        ]
        for name, row in means.items()
    ]
    contest = [name for name in predictors if not tables.is_oracle(name)]
    strong = set()
    for column in range(len(tasks)):
        known = [(means[name][column].value, name) for name in contest if means[name][column].value is not None]
        if known:
            strong.add((predictors.index(max(known)[1]), column + 1))
    for oracle in (name for name in predictors if tables.is_oracle(name)):
        shares = [tables.share(evaluation, oracle, task) for task in tasks]
        rows.append([f"model as share of {tables.label(oracle)}", *shares])
    num_sessions = len(evaluation["sessions"])
    where = "one session" if num_sessions == 1 else f"mean over {num_sessions} sessions"
    caption = f"bits/spike, pooled; {where} ± bootstrap standard error; underlined: best without the truth"
    blocks = [page.table(["", *heads], rows, caption=caption, marked={0}, strong=strong)]
    if num_sessions > 1 and len(contest) > 1:
        counts = [[tables.wins(evaluation, name, task) for task in tasks] for name in contest[1:]]
        rows = [
            [tables.label(name), *(f"{above} of {both}" if both else "-" for above, both in row)]
            for name, row in zip(contest[1:], counts, strict=True)
        ]
        blocks.append(page.table(["model above", *heads], rows, caption="sessions in which the model is above"))
    pairs = [tables.paired(evaluation, task) for task in tasks]
    if any(score.value is not None for score, _ in pairs):
        rows = [
            ["model − best baseline", *(tables.difference_text(score, "±\u00a0") for score, _ in pairs)],
            ["95 %", *(_ends(score) for score, _ in pairs)],
            ["sessions above", *(f"{above} of {score.num_sessions}" for score, above in pairs)],
        ]
        caption = (
            "bits/spike, pooled; the difference to the best baseline of each session, paired over the same draws of "
            "trials; the interval is for these sessions, not for other animals"
        )
        blocks.append(page.table(["paired", *heads], rows, caption=caption))
    rows = [
        [name, *(tables.show(tables.mean_score(evaluation, "model", task, metric).value) for task in tasks)]
        for metric, name in _OTHER_METRICS.items()
    ]
    blocks.append(page.folded("Other metrics of the model", page.table(["", *heads], rows, caption=where)))
    return blocks


def explanation(evaluation: Mapping[str, Any]) -> list[str]:
    """What the numbers are: the measure, its null, what each task hides, in the protocol's own words."""
    protocol = protocols.of_evaluation(evaluation)
    blocks = [
        page.paragraph(
            "Bits/spike = (null negative log-likelihood − model negative log-likelihood) / (spikes × ln 2), "
            "Poisson, on entries of test trials that were hidden from the predictor. Pooled: sums over all "
            "scored units and bins before the division, so busy units weigh more. Zero is the null, higher "
            "is better. Intervals: bootstrap over the test trials of each session."
        )
    ]
    if protocol is not None:
        null, train_null = (protocol_record.NULL_WORDS[name] for name in (protocol.null, protocol.train_null))
        blocks.append(
            page.paragraph(
                f"Null: {null}; it knows the test mean. Train-mean null: {train_null}, "
                "which a predictor could know. Baselines are fitted on the train split, tuned on the "
                "validation split and scored on the same entries as the model."
            )
        )
    if any(tables.is_oracle(name) for name in tables.predictors_of(evaluation)):
        blocks.append(
            page.paragraph(
                "The oracle is scored with the rates that generated the spikes, which nobody who sees only "
                "the spikes can know; other lines set apart with it know part of the truth."
            )
        )
    if line := _reliability(evaluation):
        blocks.append(page.paragraph(line))
    hidden = {} if protocol is None else {name: task.words for name, task in protocol.tasks.items()}
    rows = [[tables.label(task), hidden[task]] for task in tables.tasks_of(evaluation) if task in hidden]
    return [*blocks, page.table(["task", "what is hidden and scored"], rows, wrap=True)] if rows else blocks


def _reliability(evaluation: Mapping[str, Any]) -> str:
    """A sentence on how well the recordings' own PSTHs repeat; empty where the record does not say."""
    sessions = {key: session for key, session in evaluation["sessions"].items() if "psth_reliability" in session}
    values = {key: tables.number(session["psth_reliability"]) for key, session in sessions.items()}
    known = {key: value for key, value in values.items() if value is not None}
    reasons = {str(sessions[key].get("psth_reliability_reason")) for key in sessions if key not in known}
    missing = f"Not known for {len(sessions) - len(known)} of {len(sessions)} sessions: {'; '.join(sorted(reasons))}."
    if not known:
        return f"Split-half reliability of the PSTHs. {missing}" if sessions else ""
    mean, low, high = sum(known.values()) / len(known), min(known.values()), max(known.values())
    spread = "" if len(known) == 1 else f" (mean of {len(known)} sessions, {tables.show(low)} to {tables.show(high)})"
    text = (
        f"Split-half reliability of the PSTHs: {tables.show(mean)}{spread}, corrected to all trials (Spearman-Brown), "
        "mean over units of 1 Hz or more. It is the share of the variance of measured PSTHs that repeats, a ceiling "
        "for their prediction."
    )
    return text if len(known) == len(sessions) else f"{text} {missing}"


def session_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """For each task a row a session: model with interval, every baseline, oracles."""
    others = tables.predictors_of(evaluation)[1:]
    blocks = []
    for index, task in enumerate(tables.tasks_of(evaluation)):
        rows = []
        for key, session in evaluation["sessions"].items():
            model = tables.session_score(session, "model", task)
            block = tables.task_block(session, "model", task)
            best = tables.best_baseline(session, task)
            ahead = None if model.value is None or best is None else model.value - best[1]
            rows.append(
                [
                    key,
                    block.get("num_units_scored", "-"),
                    session.get("num_test_trials", "-"),
                    _interval(model),
                    "-" if ahead is None else f"{ahead:+.3f}",
                    *(tables.show(tables.session_score(session, name, task).value) for name in others),
                ]
            )
        heads = [
            "session",
            "units",
            "trials",
            "model [95 %]",
            "over best baseline",
            *map(tables.label, others),
        ]
        table = page.table(heads, rows, caption="bits/spike, pooled; units scored; test trials")
        blocks.append(page.folded(tables.label(task), table, is_open=index == 0))
    return blocks


def _ends(score: tables.Score) -> str:
    return "-" if score.ci95 is None else f"[{score.ci95[0]:+.3f},\u00a0{score.ci95[1]:+.3f}]"


def _interval(score: tables.Score) -> str:
    if score.ci95 is None:
        return tables.show(score.value)
    return f"{tables.show(score.value)} [{tables.show(score.ci95[0])},\u00a0{tables.show(score.ci95[1])}]"


def reasons(evaluation: Mapping[str, Any], most: int = 40) -> list[str]:
    """Why a score is missing, a line for each reason."""
    places: dict[str, list[str]] = {}
    for key, session in evaluation["sessions"].items():
        for predictor in tables.predictors_of(evaluation):
            for task in tables.tasks_of(evaluation):
                for name, value in tables.task_block(session, predictor, task).items():
                    if name.endswith("_reason") and value:
                        where = f"{key}, {tables.label(predictor)}, {tables.label(task)}"
                        names = places.setdefault(str(value), [])
                        if where not in names:
                            names.append(where)
    if not places:
        return []
    rows = [
        [reason, "; ".join(names[:4]) + (f"; and {len(names) - 4} more" if len(names) > 4 else "")]
        for reason, names in places.items()
    ]
    return [page.folded("Scores that could not be computed", page.table(["reason", "where"], rows[:most], wrap=True))]
