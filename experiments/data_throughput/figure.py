"""Draws throughput.png from results.json and prints each observed value beside the expected one.

python experiments/data_throughput/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
SCALES = ("1x", "10x", "100x")
SHAPE = "1 session x 64 trials"
OURS, ALONE = "pipeline, 1 reader thread", "pipeline, read when asked"
STACKED, THROWN = "raw copy, trials of a batch stacked", "raw copy, each trial thrown away"


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    binning, pipeline = results["binning"]["result"], results["pipeline"]["result"]
    methods, memory = binning["methods"], binning["memory"]
    read, waits = pipeline["100x"][SHAPE]["cpu"], results["stall"]["result"]["1 reader thread"]
    scratch = [memory[scale]["scratch_bytes"] for scale in ("1x", "100x")]
    return {
        "binning, spikes/s a core": methods["neurojax, spikes in order of time"]["per_s"][1],
        "binning, ratio to pynapple's TsGroup.count": methods["pynapple, TsGroup.count"]["ours_to_it"][1],
        "binning, ratio to pynapple's compiled loop": methods["pynapple, its compiled loop alone"]["ours_to_it"][1],
        "pipeline, ratio to the raw copy, trials stacked (CPU)": read[STACKED]["ours_to_it"][1],
        "pipeline, ratio to the raw copy, trials thrown away (CPU)": read[THROWN]["ours_to_it"][1],
        "pipeline, share of time that steps of 10 ms wait for a batch": waits["share_of_time"][1],
        "binning, scratch memory 100x / 1x": scratch[1] / scratch[0],
        "pipeline, own memory 100x / 1x": pipeline["100x"]["own_bytes"] / pipeline["1x"]["own_bytes"],
    }


def bars(axis, rows: dict[str, list[float]], ours: str, scale: float) -> None:
    """Medians with quartiles, ours in its own colour."""
    low, middle, high = np.array(list(rows.values())).T / scale
    colours = [style.BLUE if name.startswith(ours) else style.PALE for name in rows]
    axis.barh(range(len(rows)), middle, color=colours, xerr=[middle - low, high - middle], ecolor=style.BLACK)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()


def draw(results: dict) -> bytes:
    """Binning, reading, and memory as the recording grows."""
    figure, axes = style.new_figure(10.5, 5.4, 2, 2)
    binning, convert = results["binning"]["result"], results["convert"]["result"]
    pipeline = results["pipeline"]["result"]
    bars(axes[0][0], {name: row["per_s"] for name, row in binning["methods"].items()}, "neurojax", 1e6)
    axes[0][0].set(xlabel="million spikes/s (CPU)", title="Binning")
    read = pipeline["100x"][SHAPE]["cpu"]
    bars(axes[0][1], {name: row["per_s"] for name, row in read.items()}, "pipeline", 1e3)
    axes[0][1].set(xlabel="thousand trials/s (CPU)", title=f"Batches of {SHAPE}")
    scratch = [binning["memory"][scale]["scratch_bytes"] / 1e6 for scale in SCALES]
    own = [pipeline[scale]["own_bytes"] / 1e6 for scale in SCALES]
    axes[1][0].plot(SCALES, scratch, "o-", color=style.BLUE, label="binning, beyond spikes and counts")
    axes[1][0].plot(SCALES, own, "s-", color=style.VERMILION, label="pipeline, beyond pages of the files")
    axes[1][0].set(xlabel="size of the recording", ylabel="memory (MB)", title="Memory", ylim=(0, None))
    axes[1][0].legend()
    peak = [
        (convert[scale]["peak_bytes"] - convert[scale]["before_bytes"]) / convert[scale]["num_spikes"]
        for scale in SCALES
    ]
    rate = [convert[scale]["spikes_per_s"] / 1e6 for scale in SCALES]
    axes[1][1].plot(SCALES, rate, "o-", color=style.BLUE, label="million spikes/s (CPU)")
    axes[1][1].plot(SCALES, peak, "s-", color=style.VERMILION, label="peak bytes a spike, counts included")
    axes[1][1].set(xlabel="size of the recording", title="The whole of `convert phy`", ylim=(0, None))
    axes[1][1].legend()
    return style.png_bytes(figure)


def main() -> None:
    results, expected = read_json(HERE / "results.json"), read_json(HERE / "expected.json")
    print("\n".join(beside(observed(results), expected)))
    with style.context():
        write_bytes(HERE / "throughput.png", draw(results))


if __name__ == "__main__":
    main()
