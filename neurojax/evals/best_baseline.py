"""Which baseline a model is held against: for each task one for all sessions, chosen on validation
trials.

Chosen on test trials the best of several baselines would be flattered by its own noise, and chosen
session by session even more; "model - best" would be another thing in every session.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from neurojax.evals import tables
from neurojax.evals.tables import Score, number
from neurojax.scores import intervals

VALIDATION_SCORE = "validation_bps_pooled"


class Best(NamedTuple):
    """A baseline and the split that it was chosen on, "validation" or "test"."""

    name: str | None
    chosen_on: str | None


class Paired(NamedTuple):
    """Model minus baseline on one task.

    Attributes:
        score: mean difference in pooled bits/spike with its interval over sessions, over trials of
            a single one.
        above: sessions in which the model is above.
        best: the baseline; without a name where every session has its own (records of older
            versions).
        p_value, p_holm: of the paired t test over sessions, alone and adjusted for all tasks.
        animals: mean over animals with its interval, where there are two and fewer than sessions;
            else None.
        num_animals: how many.
        trials_ci95: over the trials of these sessions alone.
    """

    score: Score
    above: int
    best: Best
    p_value: float | None
    p_holm: float | None
    animals: Score | None
    num_animals: int | None
    trials_ci95: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        """ "above", "below" or "not resolved": over sessions after Holm, and over animals; of
        trials alone never."""
        over_sessions = self.score.ci95 if self.score.over == "sessions" else None
        return intervals.verdict(over_sessions, self.p_holm, self.animals and self.animals.ci95)


def best_baselines(
    sessions: Mapping[str, Mapping[str, Any]], tasks: Sequence[str]
) -> dict[str, Best]:
    """The baseline with the highest mean over sessions of its pooled validation score, for each
    task.

    Where no baseline has a validation score (other protocols, older records), the highest test
    score decides, and the answer says so. Baselines are compared on equal terms: those that fewer
    sessions score are no candidates. What knows the truth (`tables.is_oracle`) never is.

    Args:
        sessions: session id -> {"baselines": name -> task -> block}.
        tasks: those asked for; one that no baseline scores is missing from the answer.
    """
    chosen = {}
    for task in tasks:
        for chosen_on, metric in (("validation", VALIDATION_SCORE), ("test", "bps_pooled")):
            known: dict[str, list[float]] = {}
            for session in sessions.values():
                for name, blocks in (session.get("baselines") or {}).items():
                    value = number(((blocks or {}).get(task) or {}).get(metric))
                    if value is not None and not tables.is_oracle(name):
                        known.setdefault(name, []).append(value)
            if known:
                most = max(map(len, known.values()))
                means = {
                    name: sum(values) / most
                    for name, values in known.items()
                    if len(values) == most
                }
                chosen[task] = Best(max(means, key=means.__getitem__), chosen_on)
                break
    return chosen


def paired(evaluation: Mapping[str, Any], task: str, predictor: str = "model") -> Paired:
    """The model (or its mixture with the stack) minus the baseline chosen for a task, as the
    record's mean has it; a score of None without one."""
    name = "paired_mean" if predictor == "model" else "paired_with_stack_mean"
    block = ((evaluation.get("mean") or {}).get(task) or {}).get(name) or {}
    num_sessions, trials = (
        int(number(block.get("num_sessions")) or 0),
        tables.interval_of(block, "trials_ci95"),
    )
    ends, over = tables.interval_of(block, "ci95"), "sessions"
    if "trials_ci95" not in block and "p_value" not in block:  # of an older version: over trials
        trials = ends
    if num_sessions == 1 or "p_value" not in block:
        ends, over = trials, "trials"
    score = Score(number(block.get("bps_pooled")), ends, over if ends else "", num_sessions)
    animals, num_animals = None, number(block.get("num_animals"))
    if num_animals is not None and 2 <= num_animals < num_sessions:
        animals = Score(
            number(block.get("animals")), tables.interval_of(block, "animals_ci95"), "animals"
        )
    best = Best(block.get("baseline"), block.get("chosen_on") or "test")
    p_value, p_holm = (number(block.get(name)) for name in ("p_value", "p_holm"))
    above = int(number(block.get("num_above")) or 0)
    return Paired(
        score, above, best, p_value, p_holm, animals, num_animals and int(num_animals), trials
    )


def common_name(bests: Sequence[Best]) -> str:
    """What to call the baselines of several tasks: `stack`, `PSTH (best on test)`, `best on
    validation`, ..."""
    names, chosen_on = {best.name for best in bests}, {best.chosen_on for best in bests}
    where = f"best on {next(iter(chosen_on))}" if len(chosen_on) == 1 else "best baseline"
    if len(names) != 1 or None in names:
        return where
    name = tables.label(next(iter(names)))
    return name if chosen_on == {"validation"} else f"{name} ({where})"


def names_of(bests: Sequence[Best]) -> list[str] | None:
    """The baseline of each task, where `common_name` does not say it already; else None."""
    if len({best.name for best in bests}) == 1 or all(best.name is None for best in bests):
        return None
    mixed = len({best.chosen_on for best in bests}) > 1
    on = [f" ({best.chosen_on})" * mixed for best in bests]
    return [
        "-" if best.name is None else tables.label(best.name) + where
        for best, where in zip(bests, on, strict=True)
    ]


def how_chosen(bests: Sequence[Best]) -> str:
    """How the baselines were chosen, in words for below a table."""
    if any(best.name is None for best in bests):
        return "the baseline is each session's own best on test"
    parts = {
        "validation": "the listed baseline best on validation trials in the mean over sessions",
        "test": "the listed baseline best on test trials (none has a validation score) in the mean "
        "over sessions",
    }
    return "; ".join(parts[where] for where in dict.fromkeys(best.chosen_on for best in bests))
