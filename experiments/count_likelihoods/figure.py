"""Draws experiments/count_likelihoods/pit.png from results.json and prints the README's table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neurojax.evals import likelihoods
from neurojax.report.expected import beside
from neurojax.report.figures import likelihood, style
from neurojax.scores import bootstrap, intervals

HERE = Path(__file__).parent
TASKS = ("forward", "inter_region")
WHOLE = (
    "negative_binomial",
    "negative_binomial_shared",
    "gaussian_counts",
)  # of the outcomes Poisson knows
LN2 = float(np.log(2))


def against(results: dict, arm: str, reference: str, split: str, task: str) -> dict[str, float]:
    """Session -> bits/spike of an arm's own likelihood over that of another arm, on the same trials."""
    found = {}
    for session in results[arm]["sessions"]:
        ours, theirs = (results[name]["sessions"][session][split][task]["trials"] for name in (arm, reference))
        assert ours["spikes"] == theirs["spikes"]
        found[session] = float(np.subtract(ours["nats"], theirs["nats"]).sum() / LN2 / sum(ours["spikes"]))
    return found


def same_means(results: dict, arm: str, split: str, task: str) -> tuple[float, list[float]]:
    """Bits/spike over Poisson counts of the very same means, all trials together, with 95 % over trials."""
    blocks = [session[split][task] for session in results[arm]["sessions"].values()]
    weights = bootstrap.trial_weights(sum(len(block["trials"]["spikes"]) for block in blocks), 1000, seed=0)
    found = likelihoods.over_poisson(blocks, weights)
    return found["over_poisson"], found["over_poisson_ci95"]


def bps(results: dict, arm: str, task: str) -> float:
    """Bits/spike of the means under Poisson, mean over sessions, test trials."""
    return float(np.mean([session["test"][task]["bps_pooled"] for session in results[arm]["sessions"].values()]))


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    found = {}
    for task in TASKS:
        gain = against(results, "negative_binomial 0", "poisson 0", "test", task)
        found[f"negative binomial over poisson, {task}, bits/spike"] = round(float(np.mean(list(gain.values()))), 4)
    return found


def table(results: dict) -> list[str]:
    """Lines of the README's table."""
    lines = ["| head, seed | task | bits/spike of the means | over Poisson, same means | over the Poisson run |"]
    lines += ["|---|---|---|---|---|"]
    for arm in results:
        head, seed = arm.split()
        for task in TASKS:
            value, ends = (0.0, None) if head == "poisson" else same_means(results, arm, "test", task)
            over = "-"
            if head in (*WHOLE, "poisson") and arm != "poisson 0":
                reference = "poisson 0" if head == "poisson" else f"poisson {seed}"
                gains = list(against(results, arm, reference, "test", task).values())
                low, high = intervals.t_interval(gains).ci95
                over = (
                    f"{np.mean(gains):+.4f} [{low:+.4f}, {high:+.4f}] ({', '.join(f'{gain:+.4f}' for gain in gains)})"
                )
            within = "" if ends is None else f" [{ends[0]:+.4f}, {ends[1]:+.4f}]"
            lines.append(f"| {head} {seed} | {task} | {bps(results, arm, task):.4f} | {value:+.4f}{within} | {over} |")
    return lines


def draw(results: dict) -> style.Figure:
    """PIT histograms of every head, inter-region, test trials; Poisson's of the same means beside."""
    arms = [arm for arm in results if arm.endswith(" 0")]
    figure, axes = style.new_figure(11, 6.4, 2, (len(arms) + 1) // 2)
    for place, arm in zip(axes.ravel(), arms, strict=False):
        sessions = results[arm]["sessions"]
        blocks = {name: {"task": "inter_region", "test": one["test"]["inter_region"]} for name, one in sessions.items()}
        likelihood.pit_histogram(place, {"sessions": {name: {"likelihood": block} for name, block in blocks.items()}})
        place.set_title(arm.removesuffix(" 0").replace("_", " "))
    for place in axes.ravel()[len(arms) :]:
        place.axis("off")
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "pit.png").write_bytes(style.png_bytes(draw(found)))
    print("\n".join(table(found)))
    print("\n".join(beside(observed(found), json.loads((HERE / "expected.json").read_text()))))
