"""The same mice split in blocks of 120 s: one model beside the yardstick's linear models, nine sessions of three mice.

    neurojax convert arrays SESSIONS/session*.npz --out=runs/blocks_data --bin_ms=20 --split=blocks:120s
    neurojax train --config=configs/mtm.py:size=small --config.data.root=runs/blocks_data --workdir=runs/blocks
    python experiments/recipe/blocks.py --evaluation=runs/blocks/evaluation.json    # keeps its scores in blocks.json
    python experiments/recipe/blocks.py                                             # the table, in seconds

The linear models are those of ../yardstick, fitted to the same training trials and tuned on the same validation trials.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import common
import numpy as np
from final_table import TASKS, ends_text

from neurojax.files import read_json, write_json
from neurojax.scores import intervals

RESULTS = common.HERE / "blocks.json"
YARDSTICK = common.HERE.parent / "yardstick" / "results.jsonl"
SET = "mice, blocks of 120 s"
LINEAR = ("train_mean", "psth", "drift", "ridge", "average", "stack")
AGAINST = ("stack", "ridge")
Scores = Mapping[str, Mapping[str, float]]  # session -> task -> pooled bits/spike over the test mean


def kept(evaluation: dict, about: dict) -> dict:
    """What the table needs of an evaluation, and where it comes from."""
    return {
        **{name: evaluation[name] for name in ("step", "seed", "config_hash", "dataset_fingerprint")},
        **about,
        "sessions": {
            session: {task: round(entry["tasks"][task]["bps_pooled"], 4) for task in TASKS}
            for session, entry in evaluation["sessions"].items()
        },
        "drift": {session: entry["drift"] for session, entry in evaluation["sessions"].items()},
    }


def linear() -> tuple[dict[str, dict], dict[str, str]]:
    """Method -> session -> task -> score of the yardstick, and session -> mouse."""
    lines = map(json.loads, YARDSTICK.read_text().splitlines()) if YARDSTICK.exists() else ()
    lines = {line["session"]: line for line in lines if line["set"] == SET}
    methods = {name: {session: line["methods"][name] for session, line in lines.items()} for name in LINEAR}
    return methods, {session: line["subject"] for session, line in lines.items()}


def markdown(model: Scores, methods: Mapping[str, Scores], mouse_of: Mapping[str, str]) -> list[str]:
    """Means over sessions, then the model minus the stack and ridge: t over sessions, Holm over tasks, each mouse."""
    title = intervals.sessions_and_animals(len(model), len(set(mouse_of.values())))
    lines = [f"| {title} | co-smoothing | forward | inter-region | intra-region |", "|---" * 5 + "|"]
    for name, sessions in (*methods.items(), ("improved", model)):
        means = [float(np.mean([sessions[session][task] for session in model])) for task in TASKS]
        lines.append(_row(name, [f"{value:.3f}" for value in means]))
    for name in AGAINST:
        gains = {
            task: {session: block[task] - methods[name][session][task] for session, block in model.items()}
            for task in TASKS
        }
        over = {task: intervals.t_interval(list(found.values())) for task, found in gains.items()}
        p_holm = intervals.holm({task: intervals.p_value(list(found.values())) for task, found in gains.items()})
        mice = {task: intervals.means_of_animals(found, mouse_of)[0] for task, found in gains.items()}
        over_mice = {task: intervals.t_interval(list(found.values())).ci95 for task, found in mice.items()}
        lines += [
            _row(f"improved minus {name}", [f"{over[task].mean:+.3f}" for task in TASKS]),
            _row("95 % over sessions (t)", [ends_text(over[task].ci95) for task in TASKS]),
            _row("p, Holm over four tasks", [f"{p_holm[task]:.2g}" for task in TASKS]),
            _row("95 % over mice (t)", [ends_text(over_mice[task]) for task in TASKS]),
            _row("so", [intervals.verdict(over[task].ci95, p_holm[task], over_mice[task]) for task in TASKS]),
            _row("sessions above", [f"{sum(v > 0 for v in gains[task].values())} of {len(model)}" for task in TASKS]),
            _row("mean of each mouse", [", ".join(f"{v:+.3f}" for v in mice[task].values()) for task in TASKS]),
        ]
    return lines


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluation", type=Path)
    if path := parser.parse_args().evaluation:
        write_json(RESULTS, kept(read_json(path), common.provenance()))
    results = read_json(RESULTS)
    methods, mouse_of = linear()
    if missing := set(results["sessions"]) - set(mouse_of):
        raise SystemExit(f"{YARDSTICK} lacks {', '.join(sorted(missing))}; run ../yardstick/run.py --part=blocks")
    print("\n".join(markdown(results["sessions"], methods, mouse_of)))
