"""Draws results.json: what each model reaches at equal parameters and time, beside the stack, and how three of
them learn; prints the tables.

python experiments/model_zoo/figure.py [--results=FILE]
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.stats

from neurojax.evals.tables import TASK_LABELS
from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).parent
TITLES = {
    "synthetic": "four made-up animals, 20 ms",
    "permuted": "the same, their units in another order",
    "same_steps": "the same, as many steps as mtm has",
    "steinmetz": "nine sessions of three mice, 20 ms",
    "allen": "eight mice, 250 ms",
    "monkeys": "two days of a monkey, 100 ms",
    "monkeys_passes": "the same, at most 100 passes",
}


def names_of(part: dict) -> list[str]:
    """Models of a part, in the order they were run."""
    return list(dict.fromkeys(key.partition("/")[0] for key in part["runs"]))


def values(part: dict, name: str, task: str, who: str = "model") -> np.ndarray:
    """Mean bits/spike over sessions, a value a seed, [seeds]."""
    by_seed: dict[str, list[float]] = {}
    for key, run in part["runs"].items():
        if key.partition("/")[0] == name:
            found = [session[who][task][0] for session in run["sessions"].values()]
            by_seed.setdefault(key.rpartition("/")[2], []).extend(value for value in found if value is not None)
    return np.array([np.mean(found) for found in by_seed.values() if found], float)


def half_width(part: dict, name: str, task: str, who: str = "model") -> float | None:
    """Half of the 95 % interval over trials of the mean over sessions, averaged over seeds (which share trials)."""
    widths = []
    for key, run in part["runs"].items():
        ends = [session[who][task][1] for session in run["sessions"].values() if session[who][task][1] is not None]
        if key.partition("/")[0] == name and ends:
            widths.append(np.sqrt(sum(((high - low) / 2) ** 2 for low, high in ends)) / len(ends))
    return float(np.mean(widths)) if widths else None


def noise(part: dict, task: str) -> float:
    """How far two seeds of a model are apart, pooled over models: SD of a difference; NaN with one seed."""
    spreads = [np.var(found, ddof=1) for name in names_of(part) if len(found := values(part, name, task)) > 1]
    return float(np.sqrt(2 * np.mean(spreads))) if spreads else float("nan")


def moved(results: dict, name: str, task: str) -> float:
    """Bits/spike that another order of the units moves a model's score, over the SD of two seeds' difference.

    Seeds that were run in one order alone are left out: they would count as a move.
    """
    first, other = (results[part]["runs"] for part in ("synthetic", "permuted"))
    before, after = (
        values({"runs": {key: runs[key] for key in runs if key in first and key in other}}, name, task)
        for runs in (first, other)
    )
    return float(abs(after.mean() - before.mean()) / noise(results["synthetic"], task))


def moved_together(results: dict, task: str) -> float:
    """Root mean square over models of `moved`: about 1 where the order of the units means nothing.

    A single model's largest move of four tasks is above 2 more often than not among seven models, though nothing
    moves them; of all models together the square has an F distribution.
    """
    return float(np.sqrt(np.mean([moved(results, name, task) ** 2 for name in names_of(results["permuted"])])))


def most_by_chance(results: dict) -> float:
    """What `moved_together` stays below in 95 % of cases, on all four tasks (Bonferroni), where nothing moves."""
    seeds = [values(results["synthetic"], name, "co_smoothing") for name in names_of(results["synthetic"])]
    known = sum(len(found) - 1 for found in seeds)
    share = 1 - 0.05 / len(TASK_LABELS)
    return float(np.sqrt(scipy.stats.f.ppf(share, len(names_of(results["permuted"])), known))) if known else np.inf


def observed(results: dict) -> dict[str, float]:
    """What expected.json names."""
    found = {}
    for title, part in results.items():
        # With as many steps each the reference is the run that has them in its time.
        beside = [part, results["synthetic"]] if title == "same_steps" else [part]
        best = max(values(one, name, "co_smoothing").mean() for one in beside for name in names_of(one))
        for name in names_of(part):
            means = {task: values(part, name, task) for task in TASK_LABELS}
            found |= {f"{title}: {name}, {t}, bits/spike": float(v.mean()) for t, v in means.items() if len(v)}
            found[f"{title}: {name}, co-smoothing over the best"] = float(means["co_smoothing"].mean() / best)
    if "permuted" in results and "synthetic" in results:
        most = most_by_chance(results)
        for task in TASK_LABELS:
            if len(values(results["permuted"], names_of(results["permuted"])[0], task)):
                found[f"permuted: {task}, move of all models over what chance allows"] = (
                    moved_together(results, task) / most
                )
    return found


def rows(part: dict) -> list[list[str]]:
    """A row a model: four tasks, what is decoded, and what it costs; the stack last."""
    targets = list(dict.fromkeys(name for run in part["runs"].values() for name in run.get("decoded", {})))
    table = []
    for name in names_of(part):
        runs = [run for key, run in part["runs"].items() if key.partition("/")[0] == name]
        sized = next(one for key, one in part["sized"].items() if key.partition("/")[0] == name)
        cells = [score(part, name, task) for task in TASK_LABELS]
        for target in targets:
            known = [run["decoded"][target] for run in runs if target in run.get("decoded", {})]
            cells.append(f"{np.mean(known):.3f}" if known else "-")
        passes = [one["pass_cpu_ms"] for key, one in part.get("passes", {}).items() if key.partition("/")[0] == name]
        cells += [f"{sized['shared_parameters']:,}", f"{runs[0]['steps']:,}"]
        cells += [f"{sized['step_memory_mb']:.0f}", f"{max(passes):.1f}" if passes else "-"]
        table.append([name, *cells])
    bar = [score(part, names_of(part)[0], task, "stack") for task in TASK_LABELS]
    if set(bar) != {"-"}:
        table.append(["stack", *bar, *["-"] * (len(targets) + 4)])
    return [["", *TASK_LABELS.values(), *targets, "shared", "steps", "MiB a step", "CPU ms a pass"], *table]


def score(part: dict, name: str, task: str, who: str = "model") -> str:
    found, half = values(part, name, task, who), half_width(part, name, task, who)
    return f"{found.mean():.3f} +- {half:.3f}" if len(found) and half is not None else "-"


SAME_LOSS = ("mtm", "ndt2", "poyo")  # of one objective on the same batches, so that their losses compare


def draw_curves(part: dict) -> bytes:
    """Training loss over steps and over CPU time, of models with the same objective; the first seed."""
    figure, ((by_step, by_time),) = style.new_figure(7.0, 2.8, 1, 2)
    for name, dashes in zip(SAME_LOSS, ("-", "--", ":"), strict=True):
        if name not in part.get("passes", {}):
            continue
        curve, cost = part["passes"][name]["curve"], part["sized"][name]["cpu_s_a_step"]
        given = {"color": style.MODEL, "linestyle": dashes, "linewidth": 1.2, "label": name}
        by_step.plot(curve["step"], curve["loss"], **given)
        by_time.plot(np.multiply(curve["step"], cost), curve["loss"], **given)
    by_step.legend(frameon=False, fontsize=8)
    style.finish(by_step, "steps", "training loss, nats an entry", "at as many steps")
    style.finish(by_time, "CPU s", "", "at as much time")
    return style.png_bytes(figure)


def draw(results: dict) -> bytes:
    """A row a part, a panel a task: a dot a seed with its interval over trials, the stack as a line."""
    parts = [name for name in TITLES if name in results]
    figure, panels = style.new_figure(11.0, 2.8 * len(parts), len(parts), len(TASK_LABELS))
    for line, title in zip(panels, parts, strict=True):
        part = results[title]
        names = names_of(part)
        for panel, (task, words) in zip(line, TASK_LABELS.items(), strict=True):
            if not any(len(values(part, name, task)) for name in names):  # recordings of one region
                style.say(panel, "one region: not asked").set_axis_off()
                continue
            for place, name in enumerate(names):
                found, half = values(part, name, task), half_width(part, name, task)
                if len(found):
                    panel.errorbar(place, found.mean(), half, color=style.MODEL, linewidth=1)
                    panel.scatter(np.full(len(found), place), found, s=14, color=style.MODEL, linewidths=0)
            bar = values(part, names[0], task, "stack")
            if len(bar):
                panel.axhline(bar.mean(), color=style.GREY, linewidth=1)
            turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
            panel.set_xticks(range(len(names)), names, **turned)
            first = task == "co_smoothing"
            style.finish(panel, "", f"{TITLES[title]}\nbits/spike" if first else "", words)
    figure.suptitle("a dot a seed, bars: 95 % over trials; grey: the linear stack", fontsize=9)
    return style.png_bytes(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--out", type=Path, default=HERE / "models.png")
    given = parser.parse_args()
    results = read_json(given.results)
    for title, part in results.items():
        head, *table = rows(part)
        print(f"\n| {TITLES[title]} | {' | '.join(head[1:])} |\n|{'---|' * len(head)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in table))
    print()
    for name, value in observed(results).items():
        if "over" in name:
            print(f"{name}: {value:.3g}")
    write_bytes(given.out, draw(results))
    if any(name in results.get("synthetic", {}).get("passes", {}) for name in SAME_LOSS):
        write_bytes(given.out.with_name("curves.png"), draw_curves(results["synthetic"]))
