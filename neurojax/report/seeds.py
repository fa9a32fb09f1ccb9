"""Several runs of one recipe that differ in their seed -> one evaluation record: means, and how far
seeds differ.

The sessions' blocks hold means over seeds, with intervals over trials that are averaged too: the
seeds are scored on the same trials, so these do not shrink with more seeds. How seeds differ is
said apart, of the mean over sessions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.errors import require
from neurojax.evals import over_sessions, tables
from neurojax.report import score_groups
from neurojax.scores.intervals import t_interval

_SHARED = (
    "schema",
    "protocol",
    "protocol_hash",
    "protocol_record",
    "eval",
    "dataset_fingerprint",
    "step",
)
_OF_SESSION = (
    "num_units",
    "num_test_trials",
    "subject",
    "baselines",
    "notes",
    "drift",
    "drift_warning",
)


def combined(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The evaluation record of several seeds; `compare` and the report read it as that of one run.

    Args:
        evaluations: one record a seed, of the same recipe, data and protocol.

    Returns:
        a record of schema 1 with `seeds` and, in each task's mean, of its headline H (`bps_pooled`
        where the protocol names no other): `H_seeds` (a value a seed), `H_seed_sd` and
        `H_seed_ci95` (Student's t with seeds - 1 degrees of freedom).

    Raises:
        InputError: the records differ in protocol, data, steps or sessions.
    """
    first = evaluations[0]
    for evaluation in evaluations[1:]:
        for name in ("protocol_hash", "dataset_fingerprint", "step"):
            require(
                evaluation.get(name) == first.get(name),
                f"seeds {first['seed']} and {evaluation['seed']} differ in {name}; use a new "
                "workdir",
            )
        require(
            list(evaluation["sessions"]) == list(first["sessions"]),
            f"seeds {first['seed']} and {evaluation['seed']} were scored on different sessions",
        )
    sessions = {
        key: _session([e["sessions"][key] for e in evaluations]) for key in first["sessions"]
    }
    mean = over_sessions.of_records(sessions)
    for task, block in mean.items():
        metric = headline(block)
        block |= _over_seeds(
            metric, [tables.number(e["mean"][task].get(metric)) for e in evaluations]
        )
    return {
        **{name: first[name] for name in _SHARED if name in first},
        "seed": first["seed"],
        "seeds": [evaluation["seed"] for evaluation in evaluations],
        "config_hash": ", ".join(str(evaluation["config_hash"])[:12] for evaluation in evaluations),
        "sessions": sessions,
        "mean": mean,
    }


def _session(sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = sessions[0]
    oracles = {name: block for name, block in first.items() if tables.is_oracle(name)}
    reliability = {
        name: value for name, value in first.items() if name.startswith("psth_reliability")
    }
    return {
        **{name: first[name] for name in _OF_SESSION if name in first},
        "tasks": {
            task: _mean([session["tasks"][task] for session in sessions]) for task in first["tasks"]
        },
        **oracles,
        **reliability,
        "paired": {
            task: _mean([session["paired"][task] for session in sessions])
            for task in first["paired"]
        },
        "trial_sums": _trial_sums([session["trial_sums"] for session in sessions]),
    }


def _mean(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers and pairs of numbers averaged; what is no number in one of the blocks stays as it is
    there."""
    result: dict[str, Any] = {}
    for name in blocks[0]:
        values = [block.get(name) for block in blocks]
        if all(isinstance(value, int) and value == values[0] for value in values):
            result[name] = values[0]  # counts
        elif all(isinstance(value, int | float) for value in values):
            result[name] = float(np.mean(values))
        elif all(isinstance(value, list) and len(value) == 2 for value in values):
            result[name] = np.mean(values, axis=0).tolist()
        else:
            result[name] = next(
                (value for value in values if not isinstance(value, int | float | list)), values[0]
            )
            if result[name] is None:
                result[f"{name}_reason"] = "not known for every seed"
    return result


def _trial_sums(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Gains averaged: the pooled score of the result is the mean of the seeds' pooled scores."""
    tasks = {}
    for task, block in parts[0]["tasks"].items():
        same = all(part["tasks"].get(task, {}).get("spikes") == block["spikes"] for part in parts)
        if same:
            gains = np.mean([part["tasks"][task]["gain_nats"] for part in parts], axis=0)
            tasks[task] = {"spikes": block["spikes"], "gain_nats": gains.tolist()}
    return {"trial_id": parts[0]["trial_id"], "tasks": tasks}


def _over_seeds(metric: str, values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(known) < 2:
        reason = "fewer than two seeds have a score"
        return {
            f"{metric}_seeds": list(values),
            f"{metric}_seed_sd": None,
            f"{metric}_seed_sd_reason": reason,
        }
    ends, sd = t_interval(known).ci95, float(np.std(known, ddof=1))
    return {f"{metric}_seeds": known, f"{metric}_seed_sd": sd, f"{metric}_seed_ci95": list(ends)}


def headline(block: Mapping[str, Any]) -> str:
    """The score that tables show of a task's block."""
    return str(block.get("headline", "bps_pooled"))


def rows_of(evaluation: Mapping[str, Any], sign: str = "+-") -> list[list[str]]:
    """A row a seed and their mean with half of its interval over seeds; a column a task, with its
    headline."""
    blocks = [(block, headline(block)) for block in evaluation["mean"].values()]
    rows = [
        [
            f"seed {seed}",
            *(
                tables.show(tables.number(block[f"{metric}_seeds"][number]))
                for block, metric in blocks
            ),
        ]
        for number, seed in enumerate(evaluation["seeds"])
    ]
    over = (tables.interval_of(block, f"{metric}_seed_ci95") for block, metric in blocks)
    scores = [
        tables.Score(tables.number(block.get(metric)), ends, "seeds")
        for (block, metric), ends in zip(blocks, over, strict=True)
    ]
    return [*rows, ["mean of seeds", *(tables.mean_text(score, 1, sign) for score in scores)]]


def words(evaluation: Mapping[str, Any]) -> str:
    """What the numbers of `rows_of` are, +- included."""
    metrics = dict.fromkeys(headline(block) for block in evaluation["mean"].values())
    named = "; ".join(map(score_groups.score_words, metrics))
    return (
        f"half of the 95 % interval over {len(evaluation['seeds'])} seeds (Student's t), all "
        "scored on the "
        f"same sessions and trials; {named}"
    )


def table(evaluation: Mapping[str, Any]) -> str:
    """The seeds as aligned plain text."""
    head = ["mean of sessions", *map(tables.label, evaluation["mean"])]
    return "\n".join([*tables.align([head, *rows_of(evaluation)]), f"+- {words(evaluation)}"])


def interval(block: Mapping[str, Any]) -> str:
    """The interval over seeds of a task's mean, or a dash."""
    ends = tables.interval_of(block, f"{headline(block)}_seed_ci95")
    return "-" if ends is None else f"[{tables.show(ends[0])}, {tables.show(ends[1])}]"


def intervals(evaluation: Mapping[str, Any]) -> str:
    """`co-smoothing [0.31, 0.41], ...`: the interval over seeds of every task's mean over
    sessions."""
    blocks = {
        task: block
        for task, block in (evaluation.get("mean") or {}).items()
        if isinstance(block, dict)
    }
    return ", ".join(f"{tables.label(task)} {interval(block)}" for task, block in blocks.items())
