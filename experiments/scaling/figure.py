"""Draws scaling.png from results.json and prints each observed value beside the expected one.

python experiments/scaling/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
MESHES = {"data parallel": style.BLUE, "fully sharded": style.VERMILION, "data x model": style.GREEN}
PODS = {"v5e-256": style.ORANGE, "64 x H200, 8 a host": style.PINK}


def median(runs: list[dict], name: str) -> float:
    return float(np.median([run[name] for run in runs]))


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    meshes, memory = results["collectives"]["result"], results["memory"]["result"]
    start = results["startup"]["result"]
    plain = sorted((row for row in memory.values() if row["remat"] == "none"), key=lambda row: row["bins"])
    shortest, longest = plain[0], plain[-1]
    parallel = meshes["data parallel, 8 devices"]
    sent = sum(parallel["sent_bytes"].values())
    return {
        "data parallel, 8 devices: bytes sent / (2 x 7/8 gradient bytes)": sent / (1.75 * parallel["gradient_bytes"]),
        "data parallel, 8 devices: gathers": parallel["number"]["all-gather"] + parallel["number"]["all-to-all"],
        "fully sharded: state of one of 8 devices / of one": meshes["fully sharded, 8 devices"]["state_bytes"]
        / parallel["state_bytes"],
        "memory, longest / shortest trial over the square of their lengths": longest["temporary_bytes"]
        / shortest["temporary_bytes"]
        / (longest["bins"] / shortest["bins"]) ** 2,
        "help, s": median(start["help"]["runs"], "wall_s"),
        "first step, kept / none kept (CPU)": median(start["first step, programs kept"]["runs"], "cpu_s")
        / median(start["first step, no programs kept"]["runs"], "cpu_s"),
    }


def draw(results: dict) -> bytes:
    """Bytes between devices, what they would cost elsewhere, memory of long trials, seconds of a start."""
    figure, axes = style.new_figure(10.5, 6.6, 2, 2)
    meshes = [row for row in results["collectives"]["result"].values() if row["parts"] == 1]
    for name, colour in MESHES.items():
        rows = sorted((row for row in meshes if row["mesh"] == name), key=lambda row: row["devices"])
        sent = [sum(row["sent_bytes"].values()) / 1e6 for row in rows]
        axes[0][0].plot([row["devices"] for row in rows], sent, "o-", color=colour, label=name)
    axes[0][0].set(
        xlabel="devices, 16 trials each", ylabel="sent by a device (MB a step)", title="Between devices, counted",
        xticks=(2, 4, 8), ylim=(0, None),
    )  # fmt: skip
    axes[0][0].legend()
    for name, colour in PODS.items():
        rows = [row for row in results["calculation"]["result"].values() if row["pod"] == name]
        trials = [row["trials_a_device"] for row in rows]
        apart, together = ([100 * row[f"efficiency_{how}"] for row in rows] for how in ("not_overlapped", "overlapped"))
        axes[0][1].fill_between(trials, apart, together, color=colour, alpha=0.25, linewidth=0)
        axes[0][1].plot(trials, apart, "o-", color=colour, label=name)
        axes[0][1].plot(trials, together, "o--", color=colour)
    axes[0][1].set(
        xlabel="trials of 100 bins a device", ylabel="weak-scaling efficiency (%)", xscale="log",
        title="Calculated, not measured", ylim=(0, 105), xticks=trials, xticklabels=trials,
    )  # fmt: skip
    axes[0][1].minorticks_off()
    axes[0][1].legend(title="solid: nothing overlapped; dashed: all")
    for remat, colour, marker in (("none", style.BLUE, "o"), ("block", style.GREEN, "^")):
        rows = [row for row in results["memory"]["result"].values() if row["remat"] == remat]
        bins, held = [row["bins"] for row in rows], [row["temporary_bytes"] / 2**20 for row in rows]
        axes[1][0].plot(bins, held, f"{marker}-", color=colour, label=f"model.remat={remat}")
    rows = [row for row in results["memory"]["result"].values() if row["remat"] == "none"]
    bins, scores = [row["bins"] for row in rows], [row["scores_bytes"] / 2**20 for row in rows]
    axes[1][0].plot(bins, scores, ":", color=style.BLACK, label="scores of one layer")
    axes[1][0].set(
        xlabel="bins of a trial", ylabel="temporary memory (MiB)", xscale="log", yscale="log", xticks=bins,
        xticklabels=bins, title="A step of 2 trials, plain attention",
    )  # fmt: skip
    axes[1][0].minorticks_off()
    axes[1][0].legend()
    start = results["startup"]["result"]
    seconds = [median(row["runs"], "cpu_s") for row in start.values()]
    spread = [[run["cpu_s"] for run in row["runs"]] for row in start.values()]
    axes[1][1].barh(range(len(start)), seconds, color=style.PALE)
    for place, values in enumerate(spread):
        axes[1][1].plot(values, [place] * len(values), "o", color=style.BLUE, markersize=4)
    axes[1][1].set_yticks(range(len(start)), [label.replace(", ", ",\n") for label in start])
    axes[1][1].invert_yaxis()
    axes[1][1].set(xlabel="CPU seconds (bar: median; dots: runs)", title="Start of size=tiny")
    return style.png_bytes(figure)


def main() -> None:
    results, expected = read_json(HERE / "results.json"), read_json(HERE / "expected.json")
    print("\n".join(beside(observed(results), expected)))
    with style.context():
        write_bytes(HERE / "scaling.png", draw(results))


if __name__ == "__main__":
    main()
