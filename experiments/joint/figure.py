"""Draws experiments/joint/joint.png from results.json; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style
from neurojax.report.joint_report import words

HERE = Path(__file__).parent
NOISES = ("low", "medium", "high")
LEVEL = 0.001  # of R2; what differs by less is called level


def pairs(results: dict, part: str) -> dict[str, dict]:
    """ "given → asked" -> scores."""
    patterns = results[part]["found"]["patterns"].values()
    return {f"{words(one)} → {node}": scores for one in patterns for node, scores in one["asked"].items()}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names; those of parts that were not run are missing."""
    ceilings = json.loads((HERE / "ceilings.json").read_text())["found"]
    exact = [
        value for seeds in ceilings.values() for one in seeds.values() for own in one.values() for value in own.values()
    ]
    values = {"largest exact R2 of all noises": round(max(exact), 3)}
    for part in NOISES:
        if part in results:
            found = pairs(results, part)
            shares = [one["share_of_ceiling"] for one in found.values()]
            values[f"least share of the exact R2, {part} noise"] = round(min(shares), 3)
            ridge = [one["r2"] - one["floors"]["ridge"]["r2"] for one in found.values()]
            values[f"least R2 above ridge, {part} noise"] = round(min(ridge), 3)
            values[f"questions above ridge, {part} noise"] = sum(one >= LEVEL for one in ridge)
            values[f"questions below ridge, {part} noise"] = sum(one <= -LEVEL for one in ridge)
            values[f"CPU s, {part} noise"] = round(results[part]["cpu_s"], 1)
    if "reaching" in results:
        found = pairs(results, "reaching")
        everything = "the past of stimulus, activity, behaviour → stimulus"
        for name in ("activity → behaviour", "stimulus → behaviour", "stimulus, behaviour → activity", everything):
            ridge = found[name]["floors"]["ridge"]["r2"]
            values[f"reaching, {name}, R2 above ridge"] = round(found[name]["r2"] - ridge, 3)
    return values


def drawn(results: dict):
    """Left: R2 of one model beside the exact one, all patterns and noises. Right: a macaque, beside ridge."""
    figure, axes = style.new_figure(9.0, 4.2, 1, 2)
    first, second = axes[0]
    first.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8)
    for part, marker in zip(NOISES, "so^", strict=True):
        if part in results:
            found = pairs(results, part).values()
            exact, model = ([one[name] for one in found] for name in ("ceiling", "r2"))
            first.plot(exact, model, marker, color=style.MODEL, markersize=4, label=f"model, {part} noise")
            ridge = [one["floors"]["ridge"]["r2"] for one in found]
            first.plot(exact, ridge, marker, color=style.GREY, markersize=3, alpha=0.7)
    first.legend(fontsize=7)
    style.finish(first, "R2 of the exact conditional mean", "R2", "Made-up loops; grey: ridge")
    if "reaching" in results:
        found = pairs(results, "reaching")
        place = np.arange(len(found))[::-1]
        for name, colour in (("model", style.MODEL), ("ridge", style.GREY)):
            values = [one["r2"] if name == "model" else one["floors"]["ridge"]["r2"] for one in found.values()]
            second.plot(values, place, "o", color=colour, markersize=4, label=name)
        second.set_yticks(place, [name.replace("stimulus, activity, behaviour", "all") for name in found], fontsize=6)
        second.axvline(0, color=style.GREY, linewidth=0.6)
        second.legend(fontsize=7)
        style.finish(second, "R2, test trials", "", "A macaque that reaches, two days")
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "joint.png").write_bytes(style.png_bytes(drawn(found)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(found), wanted)))
