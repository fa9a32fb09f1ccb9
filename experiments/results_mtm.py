"""What results_page.py shows of the paper's tables and figures, of sharing, a student, traces and made-up findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals.tables import TASK_LABELS
from results_blocks import (
    BLOCKS_OF_ALLEN,
    BY_TRIAL,
    MISSING,
    TASKS,
    UNKNOWN_TRUTH,
    Block,
    joined,
    over_sessions,
    protocol_of,
    read,
    with_ends,
)

BEHAVIOURS = {
    "choice": "choice, accuracy",
    "wheel_speed": "wheel speed, R2",
    "velocity": "hand velocity, R2",
}
RECORDINGS = {
    "synthetic": ("Four synthetic animals", "the paper's model, `size=tiny`", BY_TRIAL),
    "synthetic_linear": ("Four synthetic animals", "`mtm.py:size=tiny`", BY_TRIAL),
    "mice": ("A session each of three mice, of nine trained on", "`mtm.py:size=tiny`", BY_TRIAL),
    "allen": ("Eight Allen mice, 250 ms", "`mtm.py:size=tiny`", BLOCKS_OF_ALLEN),
    "monkey": ("A monkey's reaches, one day, 100 ms", "`mtm.py:size=tiny`", MISSING),
}
MASKINGS = {
    "temporal": "temporal masking",
    "neuron": "neuron masking",
    "causal": "causal masking",
    "intra_region": "intra-region masking",
    "inter_region": "inter-region masking",
    "mtm": "MtM",
}
BESIDE = {"train_mean": "floor: train mean", "stack": "bar: linear stack"}
READ_BESIDE = {"chance": "floor: chance", "spikes": "bar: the spikes themselves"}


def bits(entry: Mapping[str, Any], who: str) -> list[str]:
    """A cell a task, pooled bits/spike over sessions."""
    sessions = entry["sessions"].values()
    return [over_sessions([one[who]["pooled"][task] for one in sessions]) for task in TASKS]


def read_outs(entry: Mapping[str, Any], who: str, columns: Sequence[str]) -> list[str]:
    """A cell a behaviour, over sessions."""
    sessions = [one.get("behaviour", {}) for one in entry["sessions"].values()]
    return [over_sessions([one.get(name, {}).get(who) for one in sessions]) for name in columns]


def ceiling_of(entry: Mapping[str, Any]) -> str:
    """Bits/spike of the true rates, where these are known."""
    if not all("oracle" in one for one in entry["sessions"].values()):
        return UNKNOWN_TRUTH
    return f"true rates: co-smoothing {bits(entry, 'oracle')[0]}"


def _activity(part: str, title: str, system: str, folder: str, entries: Mapping[str, Mapping[str, Any]]) -> Block:
    """A row an entry, by its words; floor and bar are of the last one's sessions."""
    last = list(entries.values())[-1]
    rows = [(words, bits(last, who)) for who, words in BESIDE.items()]
    rows += [(words, bits(entry, "model")) for words, entry in entries.items()]
    record = joined(list(entries.values()))
    earlier = [one["trained_at"] for one in entries.values() if "trained_at" in one]
    if earlier:
        record["commit_note"] = (
            f"{len(earlier)} of {len(entries)} were trained at {earlier[0]}, which is not in the cost"
        )
    return Block(
        title,
        f"{system}, {last.get('step', last.get('steps'))} steps, seed {last.get('seed', 0)}",
        f"{protocol_of(TASKS)}; split: {RECORDINGS[part][2]}",
        "pooled bits/spike on test trials",
        f"{len(last['sessions'])} sessions (t)",
        [TASK_LABELS[task] for task in TASKS],
        rows,
        ceiling_of(last),
        record,
        folder,
    )


def ablation() -> Iterator[Block]:
    """Table 1: what each masking learns."""
    runs = read("mtm_table1/results.json")["runs"]
    for part in dict.fromkeys(name.partition("/")[0] for name in runs):
        entries = {words: runs[f"{part}/{name}"] for name, words in MASKINGS.items() if f"{part}/{name}" in runs}
        title, system, _ = RECORDINGS[part]
        words = f"Each masking alone and MtM: {title[0].lower()}{title[1:]}"
        yield _activity(part, words, system, "mtm_table1", entries)


def new_animals() -> Iterator[Block]:
    """Table 3 and the scaling figure: new animals alone and after pretraining on others."""
    titles = {
        "mtm_table3": "Held-out animals, alone and pretrained",
        "mtm_scaling": "New animals against the number pretrained on",
    }
    for folder, title in titles.items():
        runs = read(f"{folder}/results.json")["runs"]
        names = sorted(runs, key=lambda name: (name.split("/")[1] == "mtm", int(name.split("/")[2])))
        entries = {}
        for name in names:
            _, masking, number = name.split("/")
            after = "alone" if number == "0" else f"after {number} others"
            entries[f"{MASKINGS[masking]}, {after}"] = runs[name]
        words = f"{title}: four synthetic animals"
        yield _activity("synthetic", words, f"{RECORDINGS['synthetic'][1]}, on the new animal", folder, entries)


def behaviour() -> Iterator[Block]:
    """Behaviour read out of MtM and of temporal masking."""
    runs = read("mtm_behavior/results.json")["runs"]
    for part in dict.fromkeys(name.partition("/")[0] for name in runs):
        entries = {words: runs[f"{part}/{name}"] for name, words in MASKINGS.items() if f"{part}/{name}" in runs}
        last, (title, system, split) = list(entries.values())[-1], RECORDINGS[part]
        sessions = [one.get("behaviour", {}) for one in last["sessions"].values()]
        # Choice of the made-up animals is at its ceiling: what tells something comes first.
        columns = [name for name in ("wheel_speed", "velocity", "choice") if any(name in one for one in sessions)]
        rows = [(words, read_outs(last, who, columns)) for who, words in READ_BESIDE.items()]
        rows += [(words, read_outs(entry, "model", columns)) for words, entry in entries.items()]
        yield Block(
            f"Behaviour read out of rates: {title[0].lower()}{title[1:]}",
            f"{system}, {last['step']} steps, seed {last['seed']}",
            f"the paper's linear read-out of whole trials; split: {split}",
            "on test trials",
            f"{len(sessions)} sessions (t)" if len(sessions) > 1 else "one session: none",
            [BEHAVIOURS[name] for name in columns],
            rows,
            "1 by definition; what the behaviour allows is not known",
            joined(list(entries.values())),
            "mtm_behavior",
        )


SHARED = {  # (part, share of the dynamics in common, fraction of the trials) -> recordings, split
    ("synthetic", 1.0, 0.1): ("Eight new synthetic animals, all dynamics shared, a tenth of the trials", BY_TRIAL),
    ("synthetic", 0.5, 0.1): ("Eight new synthetic animals, half of it shared, a tenth of the trials", BY_TRIAL),
    ("synthetic", 0.0, 0.1): ("Eight new synthetic animals, nothing shared, a tenth of the trials", BY_TRIAL),
    ("mice", None, 0.1): ("Eight new Allen mice, a tenth of the trials", BLOCKS_OF_ALLEN),
    ("mice", None, 1.0): ("Eight new Allen mice, all trials", BLOCKS_OF_ALLEN),
}


def sharing() -> Iterator[Block]:
    """New animals on a shared part of one and of the most others; means over seeds, then over animals."""
    entries = read("sharing/results.json")["entries"]
    for (part, share, fraction), (title, split) in SHARED.items():
        asked = (part, share, fraction)
        own = [one for one in entries if (one["part"], one["common_share"], one["fraction"]) == asked]
        most = max(one.get("animals", 0) for one in own)
        arms = {"bar: linear stack": ("stack", 0), "alone": ("alone", 0)}
        for number in (1, most):
            said = f"shared part of {number} other{'s' * (number > 1)}"
            arms[f"{said}, rows alone trained"] = ("rows only", number)
            arms[f"{said}, everything trained"] = ("full", number)
        rows, shown = [], []
        for words, (arm, number) in arms.items():
            found = [one for one in own if (one["arm"], one.get("animals", 0)) == (arm, number)]
            shown += found
            rows.append((words, [over_sessions(_by_session(found, task)) for task in TASKS]))
        yield Block(
            title,
            "`mtm.py:size=tiny`, as many steps as validation asks for",
            f"{protocol_of(TASKS)}; split: {split}",
            "pooled bits/spike on test trials",
            f"{len({one['session'] for one in own})} animals (t)",
            [TASK_LABELS[task] for task in TASKS],
            rows,
            UNKNOWN_TRUTH if part == "mice" else MISSING,
            joined(shown),
            "sharing",
        )


def _by_session(entries: Sequence[Mapping[str, Any]], task: str) -> list[float]:
    found: dict[str, list[float]] = {}
    for one in entries:
        found.setdefault(one["session"], []).append(one["scores"][task])
    return [float(np.mean(values)) for values in found.values()]


def student() -> Iterator[Block]:
    """A student of four models beside them."""
    content = read("mixture/seeds.json")
    seeds = [f"seed {number}" for number in range(4)]
    shown = {
        "one model, mean of four seeds": ("ensemble", seeds),
        "its teachers: four together": ("ensemble", ["four together"]),
        "**the student (`student.py`), answers alone where there are any**": ("student", ["seed 0"]),
        "the student, half of the target from answers": ("student_half", ["seed 0"]),
    }
    stack = [over_sessions([one["stack"][task] for one in content["student"].values()]) for task in TASKS]
    rows = [("bar: linear stack", stack)]
    for words, (part, names) in shown.items():
        sessions = content[part].values()
        cells = [[float(np.mean([one[name]["alone"][task] for name in names])) for one in sessions] for task in TASKS]
        rows.append((words, [over_sessions(found) for found in cells]))
    parts = [one for name in ("student", "student_half", "ensemble") for one in content[name].values()]
    yield Block(
        "Nine sessions of three mice, 20 ms: one model taught by four",
        "`student.py`",
        f"{protocol_of(TASKS)}; split: {BY_TRIAL}",
        "pooled bits/spike on test trials",
        f"{len(content['student'])} sessions (t)",
        [TASK_LABELS[task] for task in TASKS],
        rows,
        UNKNOWN_TRUTH,
        joined(parts, cost=""),
        "mixture",
    )


def traces() -> Iterator[Block]:
    """Made-up calcium traces beside ridge and an autoregression."""
    content = read("traces/results.json")
    sessions = list(content["sessions"].values())

    def cells(of: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> list[str]:
        return [over_sessions([of(one).get(task) for one in sessions]) for task in TASKS]

    rows = [
        (words, cells(lambda one, name=name: one["floors"][name]))
        for name, words in {
            "last_value": "floor: the last value",
            "autoregression": "bar: autoregression",
            "ridge": "bar: ridge",
        }.items()
    ]
    rows.append(("model", cells(lambda one: one["tasks"])))
    yield Block(
        "Made-up calcium traces, 40 and 50 cells",
        f"`traces.py:size=tiny`, {content['step']} steps, seed {content['seed']}",
        f"{protocol_of(TASKS)}; split: blocks of ten trials",
        "R2, mean over cells",
        "2 sessions (t)",
        [TASK_LABELS[task] for task in TASKS],
        rows,
        f"who knows the covariance of the cells, from one frame: co-smoothing "
        f"{over_sessions([one['same_frame_r2'] for one in sessions])}",
        content,
        "traces",
    )


def findings() -> Iterator[Block]:
    """Choices of a small language model between two made-up abstracts."""
    content = read("findings/results.json")
    base = content["arms"]["base"]
    after = {"before": "the same in another world", "full": "there, fine-tuned", "lora": "there, adapters of rank 1"}
    rows = [("floor: chance", ["0.500"]), ("model", [with_ends(base, "accuracy")])]
    rows += [(words, [with_ends(content["tuned"][name], "accuracy")]) for name, words in after.items()]
    yield Block(
        "Two made-up abstracts, one of them changed",
        "`causal_lm.py`",
        f"{base['num_items']:,} pairs that training never met",
        "share of right choices",
        "pairs (bootstrap)",
        ["accuracy"],
        rows,
        f"the best reader, of these pairs: {base['best_reader']['accuracy']:.3f}",
        {**content, "cpu_s": base["cpu_seconds"]},
        "findings",
    )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {
    "The paper's masking ablation": ablation,
    "The paper's new animals": new_animals,
    "The paper's behaviour": behaviour,
    "What sharing brings": sharing,
    "A model taught by others": student,
    "Calcium traces": traces,
    "Text, made up": findings,
}
