"""Draws people.png, trust.png and curve.png of experiments/gestures from its .json files; needs no accelerator."""

from __future__ import annotations

import json
from pathlib import Path

from neurojax.report.expected import beside
from neurojax.report.figures import people, style
from neurojax.report.gesture_report import NAMES

HERE = Path(__file__).parent


def read(name: str) -> dict:
    """A .json file beside this one; empty where it was not made."""
    path = HERE / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def block(results: dict) -> dict:
    """results.json as evals.gesture_scores spells an evaluation."""
    ends = read("trust").get("intervals", {})
    spelled = {
        name: {"balanced_accuracy": value, "balanced_accuracy_ci95_segments": ends.get(name)}
        for name, value in results["people"].items()
    }
    floors = {
        name: {"people": {person: {"balanced_accuracy": value} for person, value in floor["people"].items()}}
        for name, floor in results["floors"].items()
    }
    return {"people": spelled, "floors": floors, "chance": results["chance"]}


def curve(found: dict) -> style.Figure:
    """Accuracy of people never seen by people trained on: recordings, and made-up people with their best reader."""
    figure, axes = style.new_figure(9.0, 3.2, columns=2)
    points, said = list(found["points"].values()), found["forecast"]["people"]
    for name, colour, words in (("people", style.MODEL, "order found"), ("as_worn", style.GREY, "as worn")):
        sizes, scores = [one["num_people"] for one in points], [one[f"{name}_mean"] for one in points]
        axes[0, 0].plot(sizes, scores, "o", color=colour, markersize=4, label=words)
    if said.get("forecast") is not None:
        low, high = said["forecast"] - said["low"], said["high"] - said["forecast"]
        axes[0, 0].errorbar(
            [21 * 1.08], [said["forecast"]], [[low], [high]], fmt="D", color=style.VERMILION, markersize=4,
            label="foretold from up to 8, 90 %",
        )  # fmt: skip
    axes[0, 0].axhline(found["chance"]["people"], color=style.GREY, linestyle="--", linewidth=0.9)
    style.finish(axes[0, 0], "people trained on", "balanced accuracy", "27 people, five folds")
    ring = found["ring"]
    sizes = [one["num_people"] for one in ring["points"].values()]
    axes[0, 1].plot(
        sizes, [one["people_mean"] for one in ring["points"].values()], "o", color=style.MODEL, markersize=4
    )
    axes[0, 1].axhline(ring["best_mean"], color=style.ORACLE, linewidth=0.9, label="who knows the person")
    style.finish(axes[0, 1], "people trained on", "balanced accuracy", "Made-up people")
    for one in axes[0]:
        one.set_xscale("log", base=2)
        one.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
        one.legend(loc="lower right")
    return figure


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    lda, perceptron = results["floors"]["lda"], results["floors"]["perceptron"]
    found = {
        "lda": round(lda["balanced_accuracy"], 3),
        "perceptron": round(perceptron["balanced_accuracy"], 3),
        "model": round(results["balanced_accuracy"], 3),
        "model by the past alone": round(results["past"]["balanced_accuracy"], 3),
        "lower end of model above perceptron": perceptron["difference_ci95"][0],
        "people above perceptron": perceptron["above"],
    }
    if trust := read("trust"):
        own = trust["conformal"]["own"]
        found["coverage of 90 % sets, mean over people of three rounds"] = own["mean_coverage"]
        found["people whose coverage is as chance allows"] = own["num_inside"]
        found["model by the past alone"] = round(trust["past"]["balanced_accuracy"], 3)
        found["activations an hour on neutral segments, through the gate"] = trust["false_activations"]["gate"][
            "per_hour"
        ]
    if audit := read("audit"):
        gated = audit["rest"]["drift and twitches"]["model"]["gate"]["per_hour"]
        found["activations in a made-up hour of rest, through the gate"] = gated
    if calibrated := read("few_shot").get("over_people"):
        found["calibrated on one repetition"] = calibrated["network"]["balanced_accuracy"]
    if said := read("curve").get("forecast", {}).get("people"):
        found["21 people foretold from 8, error"] = said["within"]
        found["its 90 % interval holds 21 people"] = float(said["holds"])
    if clock := read("latency"):
        found["ms of CPU time a window"] = clock["cpu_ms"]["median"]
        found["ms by the clock a window"] = clock["clock_ms"]["median"]
    return found


def drawn(name: str, figure: style.Figure) -> None:
    (HERE / f"{name}.png").write_bytes(style.png_bytes(figure))


if __name__ == "__main__":
    found, learned = read("results"), read("curve")
    with style.context():
        drawn("people", people.accuracies(block(found), NAMES))
        if limits := read("trust"):
            drawn("trust", people.trust(limits, limits["class_names"]))
        if learned.get("forecast"):
            drawn("curve", curve(learned))
    print("\n".join(beside(observed(found), read("expected"))))
