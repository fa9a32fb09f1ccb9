"""Prints the final table from final/*.npz.

    python experiments/recipe/final_table.py

Differences are paired within sessions, seeds of a preset averaged. What they say of other sessions is Student's t over
the four report sessions (3 degrees of freedom), Holm over the tasks of a comparison; "above" and "below" ask the same
of the means of their three mice (2 degrees of freedom). The interval over trials, for which trials are drawn with
replacement within each session, is for the test trials of these four sessions alone. A row whose runs are not there yet
is left out and named.
"""

from typing import NamedTuple

import numpy as np
from final import BASELINES, CURVE_TASKS, FRACTIONS, MOUSE_OF, REPORT, SCORED, SUMS

from neurojax.evals.best_baseline import VALIDATION_SCORE, best_baselines
from neurojax.scores import intervals

TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
SINGLE = dict(co_smoothing="only_neuron", forward="only_causal")
SINGLE |= dict(inter_region="only_inter_region", intra_region="only_intra_region")
DRAWS = 4000
Sums = dict[str, np.ndarray]


def load() -> dict[str, list[Sums]]:
    """Method -> one dict a seed, "SESSION/TASK/NAME" -> array; see final.test_sums and final.baseline_sums.

    Baselines fitted on a share of the trials are named "stack trials0.25"; "alone" is each report session's own model.
    """
    methods: dict[str, list[Sums]] = {}
    for path in sorted(SUMS.glob("*.npz")):
        with np.load(path) as stored:
            arrays = dict(stored)
        if not path.stem.startswith("baselines"):
            methods.setdefault(path.stem.partition("-seed")[0], []).append(arrays)
            continue
        shared = {key: array for key, array in arrays.items() if key.split("/")[1] not in BASELINES}
        for name in BASELINES:
            keys = [key for key in arrays if key.split("/")[1] == name]
            own_name = name + path.stem.removeprefix("baselines").replace("_", " ")
            methods[own_name] = [shared | {key.replace(f"/{name}/", "/", 1): arrays[key] for key in keys}]
    alone = [methods.pop(name) for name in [f"alone_{session}" for session in REPORT] if name in methods]
    if len(alone) == len(REPORT):
        methods["alone"] = [{key: array for (seed,) in alone for key, array in seed.items()}]
    return methods


def excess(seeds: list[Sums], session: str, task: str, of: str = "trial") -> np.ndarray | None:
    """Nats over the test mean of each trial or unit, mean over seeds; None where the method cannot do the task."""
    key = f"{session}/{task}/{of}_model"
    return np.mean([sums[key] for sums in seeds], 0) if key in seeds[0] else None


def spikes(seeds: list[Sums], session: str, task: str, of: str = "trial") -> np.ndarray:
    """Scored spikes of each trial or unit."""
    return seeds[0][f"{session}/{task}/{of}_spikes"].astype(float)


def score(seeds: list[Sums], task: str, sessions=REPORT) -> float:
    """Pooled bits/spike over the test mean, mean over sessions; NaN where the method cannot do the task."""
    found = [excess(seeds, session, task) for session in sessions]
    if any(values is None for values in found):
        return float("nan")
    pairs = zip(found, sessions, strict=True)
    return float(np.mean([-v.sum() / spikes(seeds, session, task).sum() for v, session in pairs])) / np.log(2)


def difference(ours: list[Sums], theirs: list[Sums], task: str, sessions=REPORT):
    """(mean over sessions, 95 % interval, session -> difference), pooled bits/spike."""
    single, drawn = {}, np.zeros(DRAWS)
    for number, session in enumerate(sessions):
        gain = (excess(theirs, session, task) - excess(ours, session, task)) / np.log(2)
        weight = spikes(ours, session, task)
        if not np.array_equal(weight, spikes(theirs, session, task)):
            raise SystemExit(f"two methods were scored on other entries of {session}, {task}")
        draws = np.random.default_rng(number).multinomial(len(gain), np.full(len(gain), 1 / len(gain)), DRAWS)
        single[session] = float(gain.sum() / weight.sum())
        drawn += (draws @ gain) / np.maximum(draws @ weight, 1) / len(sessions)
    return float(np.mean(list(single.values()))), tuple(np.percentile(drawn, [2.5, 97.5])), single


class Compared(NamedTuple):
    """One method minus another on one task, pooled bits/spike.

    Attributes:
        over: mean over the report sessions with its t interval over them.
        over_mice: the same of the means of mice.
        p_holm: paired t over sessions, Holm over the tasks.
        trials_ci95: over the test trials of these sessions alone.
        single: session -> difference.
    """

    over: intervals.OverSessions
    over_mice: intervals.OverSessions
    p_holm: float
    trials_ci95: tuple[float, float]
    single: dict[str, float]

    @property
    def verdict(self) -> str:
        """ "above", "below" or "not resolved", over sessions after Holm and over mice."""
        return intervals.verdict(self.over.ci95, self.p_holm, self.over_mice.ci95)


def compared(methods: dict[str, list[Sums]], pair_of: dict[str, tuple[str, str]]) -> dict[str, Compared]:
    """Task -> one method minus another in that task, with Holm over the tasks that are given.

    Args:
        pair_of: task -> (ours, theirs).
    """
    found = {task: difference(methods[ours], methods[theirs], task) for task, (ours, theirs) in pair_of.items()}
    p_holm = intervals.holm({task: intervals.p_value(list(single.values())) for task, (_, _, single) in found.items()})
    told = {}
    for task, (_, trials, single) in found.items():
        mice, _ = intervals.means_of_animals(single, MOUSE_OF)
        over, over_mice = (intervals.t_interval(list(values.values())) for values in (single, mice))
        told[task] = Compared(over, over_mice, p_holm[task], trials, single)
    return told


def best_baseline(methods: dict[str, list[Sums]], task: str) -> str:
    """The baseline with the highest mean validation score over the report sessions; no test trial is asked."""
    sessions = {
        session: {
            "baselines": {
                name: {task: {VALIDATION_SCORE: float(methods[name][0].get(f"{session}/{task}/validation_bps", "nan"))}}
                for name in BASELINES
            }
        }
        for session in REPORT
    }
    return best_baselines(sessions, [task])[task].name


def scores(methods: dict[str, list[Sums]]) -> list[str]:
    """Markdown: means over the report sessions, then each session; the seeds of `improved` one by one."""
    lines = []
    groups = [("mean of 4 report sessions", REPORT), *((name, (name,)) for name in SCORED)]
    for title, sessions in groups:
        lines += [f"| {title} | seeds | co-smoothing | forward | inter-region | intra-region |", "|---" * 6 + "|"]
        whole = {n: s for n, s in methods.items() if all(f"{session}/units/rate_hz" in s[0] for session in sessions)}
        rows = [(name, seeds) for name, seeds in whole.items() if " trials" not in name or len(sessions) > 1]
        rows += [(f"improved, seed {number}", [seed]) for number, seed in enumerate(whole.get("improved", []))]
        for name, seeds in rows:
            values = " | ".join("-" if np.isnan(v := score(seeds, task, sessions)) else f"{v:.3f}" for task in TASKS)
            lines.append(f"| {name} | {len(seeds)} | {values} |")
        lines.append("")
    return lines


def differences(methods: dict[str, list[Sums]]) -> list[str]:
    """Markdown: what is above what, over sessions and over trials of these sessions."""
    best = {task: best_baseline(methods, task) for task in TASKS}
    lines = ["best baseline on validation trials: " + ", ".join(f"{task} {name}" for task, name in best.items()), ""]
    lines += [
        "| difference | task | bits/spike | 95 % over sessions (t) | 95 % over mice (t) | p, Holm over its tasks |"
    ]
    lines[-1] += " so | 95 % over trials of these four sessions | sessions above |"
    lines.append("|---" * 9 + "|")
    pairs = [
        {task: (ours, theirs[task]) for task in TASKS}
        for ours in ("improved", "improved_ensemble")
        for theirs in (best, *(dict.fromkeys(TASKS, name) for name in ("average", "ridge", "drift")))
    ]
    pairs += [dict.fromkeys(TASKS, ("improved", "faithful")), dict.fromkeys(TASKS, ("improved_ensemble", "improved"))]
    pairs.append({task: ("third", single) for task, single in SINGLE.items()})
    for fraction in FRACTIONS:
        names = [(f"trials{fraction:g}", f"{name} trials{fraction:g}") for name in ("stack", "ridge")]
        pairs += [dict.fromkeys(CURVE_TASKS, pair) for pair in names]
    pairs += [dict.fromkeys(CURVE_TASKS, ("third", name)) for name in ("stack", "ridge")]
    for pair_of in pairs:
        if not {name for pair in pair_of.values() for name in pair} <= set(methods):
            continue
        for task, found in compared(methods, pair_of).items():
            signs = ", ".join(f"{name.removeprefix('session')}: {value:+.3f}" for name, value in found.single.items())
            above = f"{sum(value > 0 for value in found.single.values())} of {len(found.single)} ({signs})"
            row = [" - ".join(pair_of[task]), task, f"{found.over.mean:+.3f}", ends_text(found.over.ci95)]
            row += [ends_text(found.over_mice.ci95), f"{found.p_holm:.2g}", found.verdict]
            lines.append("| " + " | ".join([*row, ends_text(found.trials_ci95), above]) + " |")
    missing = [name for name in ("faithful", *SINGLE.values()) if name not in methods]
    return [*lines, *([f"\nnot run yet: {', '.join(missing)}"] if missing else [])]


def ends_text(ends: tuple[float, float]) -> str:
    """An interval in a table."""
    return f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


if __name__ == "__main__":
    found = load()
    print("\n".join(scores(found)))
    if {"improved", *BASELINES} <= set(found):
        print("\n".join(differences(found)))
    else:
        print("no run of `improved` or no baselines yet")
