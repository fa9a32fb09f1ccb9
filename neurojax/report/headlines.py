"""The score a table shows of each task, in words: with another protocol, another score."""

from collections.abc import Mapping

SCORE_WORDS = {
    "bps_pooled": "bits/spike, pooled",
    "bps_unit_mean": "bits/spike, mean of units",
    "bps_unit_median": "bits/spike, median of units",
    "bps_pooled_train_null": "bits/spike over the train mean, pooled",
    "bps_unit_mean_train_null": "bits/spike over the train mean, mean of units",
    "bps_pooled_ge1hz": "bits/spike, pooled over units of 1 Hz or more",
    "bps_unit_mean_ge1hz": "bits/spike, mean of units of 1 Hz or more",
    "d2_unit_mean": "Poisson D2, mean of units",
    "d2_pooled": "Poisson D2, pooled",
    "psth_r2_unit_mean": "R2 of PSTHs, mean of units",
    "single_trial_r2_unit_mean": "R2 of single trials less PSTHs, mean of units",
    "behaviour_r2": "R2 of the behaviour, mean of its dimensions",
}


def score_words(metric: str) -> str:
    """A metric for people, with its unit."""
    return SCORE_WORDS.get(metric, metric.replace("_", " "))


def short_words(metric: str) -> str:
    """The same for an axis."""
    return score_words(metric).replace(", mean of its dimensions", "").replace(" less PSTHs", "")


def legend(shown: Mapping[str, str]) -> list[str]:
    """The lines below a table that say which scores it shows.

    Args:
        shown: task, in words -> the metric shown of it.
    """
    if set(shown.values()) <= {"bps_pooled"}:
        return ["bits/spike, pooled"]
    lines = []
    for metric in dict.fromkeys(shown.values()):
        lines.append(
            f"{', '.join(task for task in shown if shown[task] == metric)}: {score_words(metric)}"
        )
    return [*lines, "differences: bits/spike, pooled"]
