"""Draws experiments/mindeye/mindeye.png from results.json; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
ARMS = {
    "alone": "one session\nalone",
    "none": "no gradient,\nrows",
    "in_context": "no gradient,\nencoding",
    "tuned": "fine-tuned",
    "full": "twenty\nsessions",
}


def top1(results: dict, part: str) -> float:
    """Of the eighth person; of the reader in context with a session of 120 pictures."""
    found = results[part]["found"]
    return found["of_others"]["120"]["image_top1"] if part == "in_context" else found["image_top1"]


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names; those of parts that were not run are missing."""
    read = {name: json.loads((HERE / f"{name}.json").read_text())["found"] for name in ("ceilings", "haxby", "memory")}
    values = {
        "best reader, medium noise": round(read["ceilings"]["medium"]["image_top1"], 3),
        "Haxby slice, accuracy": round(read["haxby"]["accuracy"], 3),
        "Haxby slice, labels permuted": round(read["haxby"]["permuted_mean"], 4),
        "predicted memory, eight people of 15,000 voxels, GiB": round(read["memory"]["predicted_gib"], 2),
    }
    if {"tuned", "alone", "full", "in_context"} <= results.keys():
        alone, tuned, full = (top1(results, part) for part in ("alone", "tuned", "full"))
        values |= {
            "one session after seven others, minus that session alone": round(tuned - alone, 3),
            "one session after seven others / twenty sessions": round(tuned / full, 3),
            "in context / fine-tuned": round(top1(results, "in_context") / tuned, 3),
        }
    return values


def drawn(results: dict):
    """The eighth person by what was known of others; without a gradient by the number of pairs."""
    figure, axes = style.new_figure(8.0, 3.0, 1, 2)
    first, second = axes[0]
    parts = [part for part in ARMS if part in results]
    first.bar(np.arange(len(parts)), [top1(results, part) for part in parts], color=style.MODEL, width=0.6)
    first.set_xticks(np.arange(len(parts)), [ARMS[part] for part in parts], fontsize=7)
    if "tuned" in results:
        best = results["tuned"]["found"]["ceiling"]["image_top1"]
        first.axhline(best, color=style.ORACLE, linestyle="--", linewidth=0.9, label="best reader")
        first.legend(fontsize=7)
    style.finish(first, "", "top-1 of 300", "A person whom pretraining never met")
    found = results.get("in_context", {}).get("found", {})
    names = {"of_others": "with what others are like", "flat": "without", "ridge": "ridge"}
    colours = style.predictor_colours(list(names.values()))
    for name, words in names.items():
        if name in found:
            pairs = [int(number) for number in found[name]]
            values = [one["image_top1"] for one in found[name].values()]
            second.plot(pairs, values, "o-", color=colours[words], label=words)
    second.legend(fontsize=7)
    style.finish(second, "pictures and their responses", "top-1 of 300", "Without a gradient")
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "mindeye.png").write_bytes(style.png_bytes(drawn(found)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(found), wanted)))
