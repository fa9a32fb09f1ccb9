"""What results_page.py shows: a block for each set of recordings and protocol, from the JSON files.

A row is a system, a floor or a bar. Numbers come from the files alone; what a file does not hold is
missing. Words that say what was measured come from here.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.evals import protocols
from neurojax.evals.tables import TASK_LABELS
from neurojax.scores.intervals import t_interval

HERE = Path(__file__).resolve().parent
MISSING = "not in the file"
BY_TRIAL = "by trial, at random"
BLOCKS_OF_ALLEN = "blocks of 11 s, as the recordings come"
TASKS = tuple(TASK_LABELS)
UNKNOWN_TRUTH = "not known: real recordings do not tell their rates"


@dataclasses.dataclass
class Block:
    """One set of recordings under one protocol.

    Attributes:
        title: the recordings.
        system: what was trained.
        protocol: what is hidden, and how trials are split.
        measure: the score, with its unit.
        over: what intervals are over.
        columns: heads of the scores.
        rows: (predictor, a cell a column).
        ceiling: what is known of the best that can be reached.
        record: the part of the file with commit, date, hardware and cost.
        folder: of the experiment.
    """

    title: str
    system: str
    protocol: str
    measure: str
    over: str
    columns: Sequence[str]
    rows: list[tuple[str, list[str]]]
    ceiling: str
    record: Mapping[str, Any]
    folder: str


def read(path: str) -> Any:
    """The content of a file below this folder: JSON, or a list of JSON lines."""
    text = (HERE / path).read_text()
    return [json.loads(line) for line in text.splitlines()] if path.endswith("l") else json.loads(text)


def over_sessions(values: Sequence[float | None]) -> str:
    """Mean and half of its 95 % interval (t), of the values that are there."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    found = t_interval(known)
    half = "" if found is None else f" ± {found.ci95[1] - found.mean:.3f}"
    return f"{np.mean(known):.3f}{half}"


def with_ends(block: Mapping[str, Any], name: str) -> str:
    """A value with the ends of its interval, over sessions where there is one."""
    if block.get(name) is None:
        return MISSING
    ends = block.get(f"{name}_ci95_sessions") or block.get(f"{name}_ci95")
    return f"{block[name]:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def protocol_of(tasks: Sequence[str]) -> str:
    """The protocol of the package that has these tasks."""
    found = [one.name for one in protocols.PROTOCOLS.values() if set(tasks) <= set(one.tasks)]
    return f"`{found[0]}`" if found else MISSING


def joined(records: Sequence[Mapping[str, Any]], cost: str = "cpu_s") -> dict[str, Any]:
    """Commits, dates and hardware of several lines, each once; their cost summed where all have it."""
    found = {
        name: ", ".join(sorted({str(one[name]) for one in records if name in one}))
        for name in ("commit", "date", "hardware")
    }
    costs = [one.get(cost) for one in records]
    return found | ({} if None in costs else {cost: float(np.sum(costs))})


def mixture() -> Iterator[Block]:
    """Model, stack, and both together."""
    titles = {
        "mice": ("Nine sessions of three mice, 20 ms", BY_TRIAL),
        "mice_in_blocks": ("Nine sessions of three mice, 20 ms", "blocks of 120 s"),
        "held_back": ("Eight mice held back, 250 ms", BLOCKS_OF_ALLEN),
        "monkey_1": ("A monkey, first day, 100 ms", MISSING),
        "monkey_2": ("A monkey, second day, 100 ms", MISSING),
        "made_up": ("Four synthetic animals, 20 ms", BY_TRIAL),
    }
    for part, record in read("mixture/results.json").items():
        title, split = titles.get(part, (part, MISSING))
        sessions = list(record["sessions"].values())
        names = ("psth", "stack", "model", "model_and_stack")
        rows = [
            (name, [over_sessions([one.get(name, {}).get(task) for one in sessions]) for task in TASKS])
            for name in names
        ]
        yield Block(
            title,
            f"`mtm.py`, {record.get('step', MISSING)} steps, seed {record.get('seed', MISSING)}",
            f"{protocol_of(TASKS)}; split: {split}",
            "pooled bits/spike on test trials",
            f"{len(sessions)} sessions (t)",
            [TASK_LABELS[task] for task in TASKS],
            rows,
            UNKNOWN_TRUTH if part != "made_up" else MISSING,
            record,
            "mixture",
        )


def real_sessions() -> Iterator[Block]:
    """The recipe of 23 November beside temporal masking and ridge."""
    content = read("real_sessions/results.json")
    models, baselines = content["models"], content["baselines"]
    found = {name: models[name]["sessions"] for name in models} | baselines
    rows = [
        (name, [over_sessions([one[task].get("bps_pooled") for one in found[name].values()]) for task in TASKS])
        for name in (*baselines, *models)
    ]
    cost = sum(one["train_and_evaluate_s"] for one in models.values())
    yield Block(
        "Nine sessions of three mice, 20 ms",
        f"an earlier recipe, {models['mtm']['step']} steps",
        f"{protocol_of(TASKS)}; split: {BY_TRIAL}",
        "pooled bits/spike on test trials",
        f"{len(found['mtm'])} sessions (t)",
        [TASK_LABELS[task] for task in TASKS],
        rows,
        UNKNOWN_TRUTH,
        {**content, "wall_s": cost},
        "real_sessions",
    )


def new_animal() -> Iterator[Block]:
    """An animal that pretraining never saw, with a fifth of its training trials."""
    lines = [line for line in read("new_animal/results.jsonl") if line["fraction"] == 0.2]
    titles = {"synthetic": "Forty synthetic animals, one held out at a time", "mice": "Nine sessions of three mice"}
    for part in dict.fromkeys(line["part"] for line in lines):
        own = [line for line in lines if line["part"] == part]
        arms = [arm for arm in ("ridge", "stack", "single", "fine-tuned") if any(arm == one["arm"] for one in own)]
        rows = [
            (arm, [over_sessions([one["scores"].get(task) for one in own if one["arm"] == arm]) for task in TASKS])
            for arm in arms
        ]
        sessions = {line["session"] for line in own}
        yield Block(
            f"{titles.get(part, part)}, a new animal with 20 % of its trials",
            "`mtm.py`, pretrained on the other animals",
            f"{protocol_of(TASKS)}; split: {BY_TRIAL}",
            "pooled bits/spike on test trials",
            f"{len(sessions)} sessions (t)",
            [TASK_LABELS[task] for task in TASKS],
            rows,
            UNKNOWN_TRUTH if part == "mice" else MISSING,
            joined(own),
            "new_animal",
        )


def split_of(name: str) -> str:
    """How the sets of the yardstick are split."""
    if name.startswith("mice, blocks"):
        return "blocks of 120 s"
    return {"mice": BY_TRIAL, "synt": BY_TRIAL, "alle": BLOCKS_OF_ALLEN}.get(name[:4], MISSING)


def yardstick() -> Iterator[Block]:
    """Linear models alone, set by set."""
    lines = read("yardstick/results.jsonl")
    for name in dict.fromkeys(line["set"] for line in lines):
        own = [line for line in lines if line["set"] == name]
        tasks = [task for task in TASKS if any(task in one["methods"]["stack"] for one in own)]
        rows = [
            (method, [over_sessions([one["methods"][method].get(task) for one in own]) for task in tasks])
            for method in ("train_mean", "psth", "ridge", "stack")
        ]
        yield Block(
            f"Linear models: {name} ({len(own)} session{'s' * (len(own) > 1)})",
            "no model",
            f"{protocol_of(tasks)}; split: {split_of(name)}",
            "pooled bits/spike on test trials",
            f"{len(own)} sessions (t)" if len(own) > 1 else "one session, none stored",
            [TASK_LABELS[task] for task in tasks],
            rows,
            UNKNOWN_TRUTH if name != "synthetic" else MISSING,
            joined(own),
            "yardstick",
        )


def gestures() -> Iterator[Block]:
    """Gestures of people that training never saw."""
    content, name = read("gestures/results.json"), "balanced_accuracy"
    rows = [(key, [with_ends(floor, name)]) for key, floor in content["floors"].items()]
    rows = [("floor: chance", [f"{content['chance']:.3f}"]), *rows, ("model", [with_ends(content, name)])]
    if "as_worn" in content:
        rows.append(("model_as_worn", [with_ends(content["as_worn"], name)]))
    yield Block(
        "EMG of gestures",
        "`emg.py`, the order of each person's electrodes found without labels; the bars read everybody as worn",
        "people in folds; nobody tested was trained on",
        "balanced accuracy",
        f"{content['num_people']} people (t)",
        ["balanced accuracy"],
        rows,
        "1 by definition; label noise not known",
        content,
        "gestures",
    )
    content = read("gestures/few_shot.json")
    words = {
        "network": "model",
        "network by the past": "model_by_past",
        "lda": "lda",
        "perceptron": "perceptron",
        "before": "model_not_calibrated",
    }
    yield Block(
        "EMG of gestures, calibrated on one repetition of each",
        "`emg.py`, fine-tuned by `neurojax adapt` on 35 s of the person; the bars are fitted to the same 35 s",
        "rounds 1 and 2 of people whom the network before never saw",
        "balanced accuracy",
        f"{len(content['people'])} people (t)",
        ["balanced accuracy"],
        [
            ("floor: chance", [f"{1 / 7:.3f}"]),
            *((word, [with_ends(content["over_people"][key], name)]) for key, word in words.items()),
        ],
        "1 by definition; label noise not known",
        content,
        "gestures",
    )


READ_OUT = {
    "chewie": "A macaque's hand, two days",
    "chewie_models": "A macaque's hand, two days",
    "mice": "Nine sessions of three mice",
    "probe": "read out of frozen latents",
    "finetune": "everything trained on the behaviour",
    "both": "latents and spikes together",
    "blocks": "folds by blocks of time",
    "mtm": "the paper's read-out of rates",
    "ndt2": "NDT2",
    "poyo": "POYO-style",
}


def decoding() -> Iterator[Block]:
    """Behaviour from latents and from spikes; of several folds, each with a model of its own, their mean."""
    content = read("decoding/results.json")
    for part, record in content.items():
        if part == "command":
            continue
        for name, found in record["reports"].items():
            reports = found if isinstance(found, list) else [found]
            report = reports[0]
            score = "r2" if report["kind"] == "per_bin" else "balanced_accuracy"
            # Other models were trained on the folds of the first part, whose bars are theirs.
            bars = content["chewie"]["reports"]["velocity"] if part == "chewie_models" else reports
            rows = [(key, [_of_folds(bars, key, score)]) for key in bars[0]["mean"] if key != "model"]
            rows.append(("model", [_of_folds(reports, "model", score)]))
            has_sessions = f"{score}_ci95_sessions" in report["mean"]["model"]
            over = "sessions (t)" if has_sessions else "test trials of these sessions"
            target = report["target"].replace("_", " ")
            shown = ", ".join([target, *(READ_OUT[one] for one in name.split(", ") if one in READ_OUT)])
            yield Block(
                f"{READ_OUT[part]}: {shown}",
                f"latents of a frozen model, seed {report['seed']}"
                if report["method"] == "probe"
                else f"a model trained on the behaviour, seed {report['seed']}",
                f"`decode --protocol={report['protocol']}`, folds by {report['fold_by']}",
                "R2" if score == "r2" else "balanced accuracy",
                f"{len(reports)} folds, each with a model of its own (t)" if len(reports) > 1 else over,
                [target],
                rows,
                "1 by definition; what the behaviour allows is not known",
                record,
                "decoding",
            )


def _of_folds(reports: Sequence[Mapping[str, Any]], name: str, score: str) -> str:
    """Of one report its mean with an interval, of several their mean with one over them."""
    found = [report["mean"][name] for report in reports]
    return with_ends(found[0], score) if len(found) == 1 else over_sessions([one[score] for one in found])


def syllables() -> Iterator[Block]:
    """Syllables planted in made-up movement, found in its keypoints."""
    content = read("syllables/results.json")["planted"]
    settings = list(dict.fromkeys(key.split(",")[0] for key in content))
    names = {"k-means": "floor: k-means", "mixture of Gaussians": "floor: mixture of Gaussians", "model": "model"}
    of = {n: [[e["adjusted_rand"][n] for k, e in content.items() if k.startswith(f"{s},")] for s in settings]
          for n in (*names, "best reader")}  # fmt: skip
    yield Block(
        "Syllables of behaviour, three made-up animals",
        "autoregressive hidden Markov model (`neurojax syllables`)",
        "labels of every frame; the number of syllables given",
        "adjusted Rand index",
        "3 animals (t)",
        [f"noise {s.removeprefix('drive ')}" for s in settings],
        [(words, [over_sessions(one) for one in of[n]]) for n, words in names.items()],
        "who knows the dynamics: " + ", ".join(over_sessions(one) for one in of["best reader"]),
        next(iter(content.values())),
        "syllables",
    )


def brainbench() -> Iterator[Block]:
    """Choices of public language models, from stored scores, and of people."""
    content = read("brainbench/results.json")
    people = content["people"]["human"]["accuracy"]
    models = content["accuracy"]["human_items"]
    shown = [("floor: chance, by definition", "0.500"), ("people", _of(people))]
    shown.append((f"mean of {models['num_models']} language models", _of(models["mean"])))
    best = max(models["models"], key=models["models"].get)
    ends = models["models_ci95"].get(best)
    words = f"{models['models'][best]:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
    shown.append((f"best of {len(models['models'])}: {content['labels'].get(best, best)}", words))
    yield Block(
        "Two abstracts, one of them changed (human-made items)",
        "public language models, their stored scores",
        f"{models['num_items']} items",
        "share of right choices",
        "items (bootstrap)",
        ["accuracy"],
        [(name, [value]) for name, value in shown],
        "1 by definition",
        content,
        "brainbench",
    )


def lfads() -> Iterator[Block]:
    """A recurrent autoencoder on populations whose rates are known."""
    content = read("lfads/results.json")
    names = {"smoothing": "floor: smoothing, 50 ms", "pca": "floor: smoothing and principal components"}
    for name, found in content["known"]["sets"].items():
        if name not in content:
            continue
        rows = {words: found[key] for key, words in names.items()}
        paths = ("means", "mean of samples")  # the one that validation trials choose
        path = max(paths, key=lambda path: content[name][f"validation, {path}"]["bps"])
        rows["model"] = content[name][f"test, {path}"]
        seen = found["observer"]
        yield Block(
            f"Known rates: {name}",
            f"`lfads.py`, {content[name]['step']} steps, {path} of the posterior",
            "a quarter of the units never read (`nlb`)",
            "R2 of the rates",
            "no draws: none",
            ["R2 of the rates", "held-out bits/spike"],
            [(words, [f"{one['rate_r2']:.3f}", f"{one['bps']:.3f}"]) for words, one in rows.items()],
            f"1 by definition; held-out bits/spike of the true rates {found['oracle']['bps']:.3f}; who knows what a "
            f"trial can be: R2 {seen['rate_r2']:.3f}, {seen['bps']:.3f} bits/spike",
            content[name],
            "lfads",
        )


def _of(block: Mapping[str, Any]) -> str:
    return f"{block['value']:.3f} ({block['ci95'][0]:.3f} to {block['ci95'][1]:.3f})"


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {
    "Activity: what is hidden, predicted": mixture,
    "An earlier recipe": real_sessions,
    "New animals": new_animal,
    "Rates that are known": lfads,
    "Behaviour from activity": decoding,
    "Gestures from EMG": gestures,
    "Syllables of behaviour": syllables,
    "Text": brainbench,
    "How high the bar is, without a model": yardstick,
}
