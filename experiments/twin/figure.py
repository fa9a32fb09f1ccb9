"""Draws experiments/twin/twin.png from results.json; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
ARMS = {
    "low": "low noise", "medium": "medium noise", "high": "high noise",
    "alone": "second animal", "alone_fifth": "a fifth", "rows_random": "random rows, a fifth",
    "rows": "rows, a fifth", "rows_three": "core of three",
}  # fmt: skip


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names; those of parts that were not run are missing."""
    values = {}
    if "public" in results:
        found = results["public"]["found"]
        sota, linear = found["sensorium_sota"], found["sensorium_ln"]
        values |= {
            "parity, largest of three twins": max(one["parity"] for one in found.values()),
            "selective share, sota": round(sota["selective_share"], 3),
            "selective share, linear": round(linear["selective_share"], 3),
            "neurons driven above 99 % of textures": sota["exciting"]["above_99_percent"],
        }
    if "bayes" in results:
        lines = results["bayes"]["found"]
        values |= {
            "identification, largest distance from the Bayes rate": round(
                max(abs(one["accuracy"] - one["expected"]) for one in lines), 4
            ),
            "identification, least gain of twice the neurons": round(
                min(np.diff([one["accuracy"] for one in lines])), 4
            ),
        }
    for part in ("low", "medium", "high"):
        if part in results:
            own = results[part]["found"]
            values[f"explainable variance, {part} noise"] = round(own["explainable_share"], 3)
            values[f"cells within 15 degrees, {part} noise"] = own["within_15_degrees"]
    for name, part in (("rows alone, core of three", "rows_three"), ("rows alone from random ones", "rows_random")):
        if {part, "alone"} <= results.keys():
            pair = [results[one]["found"]["explainable_share"] for one in (part, "alone")]
            values[f"{name}, at a fifth of the trials / full training"] = round(pair[0] / pair[1], 3)
    if {"rows", "alone"} <= results.keys():
        pair = [results[part]["found"]["explainable_share"] for part in ("rows", "alone")]
        values["rows alone at a fifth of the trials / full training"] = round(pair[0] / pair[1], 3)
    return values


def drawn(results: dict):
    """Identification by neurons; explainable variance of each training; out of distribution."""
    figure, axes = style.new_figure(9.0, 3.0, 1, 2)
    first, second = axes[0]
    if "bayes" in results:
        lines = results["bayes"]["found"]
        numbers = [one["num_neurons"] for one in lines]
        first.semilogx(numbers, [one["expected"] for one in lines], color=style.ORACLE, label="Bayes rate")
        first.semilogx(numbers, [one["accuracy"] for one in lines], "o", color=style.MODEL, label="identified")
        first.set_xticks(numbers)
        first.set_xticklabels([str(number) for number in numbers])
        first.minorticks_off()
        first.legend(loc="lower right")
    style.finish(first, "neurons", "share of 1,000 textures", "Textures from simulated responses")
    arms = [name for name in ARMS if name in results]
    for shift, (kind, colour) in enumerate({"": style.MODEL, "grating": style.SKY, "white noise": style.GREY}.items()):
        values = []
        for name in arms:
            own = results[name]["found"]
            own = own if not kind else own["out_of_distribution"][kind]
            values.append(own["explainable_share"])
        place = np.arange(len(arms)) + 0.25 * (shift - 1)
        second.bar(place, values, 0.24, color=colour, label=kind or "textures, as trained on")
    second.axhline(0.8, color=style.ORACLE, linewidth=0.8, linestyle=":")
    second.set_xticks(range(len(arms)))
    second.set_xticklabels([ARMS[name] for name in arms], rotation=20, ha="right")
    second.set_ylim(0, 1.2)
    second.legend(loc="upper left", ncols=3)
    style.finish(second, "", "explainable variance", "Synthetic V1")
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "twin.png").write_bytes(style.png_bytes(drawn(found)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(found), wanted)))
