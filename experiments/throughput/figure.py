"""Draws throughput.png from results.json and prints every ratio beside its goal.

python experiments/throughput/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).parent
PEER, SCALING = (
    ("bench_ndt1", "mtm_paper", "bench_ndt1_1024", "bench_ndt1_batch_256", "bench_ndt1_bfloat16"),
    ("mixed_sessions", "sessions_full_width", "sessions_narrow"),
)
LABELS = {
    "bench_ndt1": "bench_ndt1, width 512",
    "bench_ndt1_1024": "bench_ndt1, width 1024",
    "bench_ndt1_batch_256": "bench_ndt1, 256 trials",
    "bench_ndt1_bfloat16": "bench_ndt1, bfloat16",
    "mixed_sessions": "sessions in a batch",
    "sessions_full_width": "sessions in the tables, full width",
    "sessions_narrow": "sessions in the tables, width 128",
}
GOALS = {"bench_ndt1": 1.05, "bench_ndt1_1024": 1.05, "mixed_sessions": 1.3, "sessions_narrow": 1.05}


def main() -> None:
    results = read_json(HERE / "results.json")
    with style.context():
        figure, axes = style.new_figure(9.0, 3.6, 1, 2)
        for axis, names, reference in ((axes[0, 0], PEER, "PyTorch's"), (axes[0, 1], SCALING, "the first's")):
            names = [name for name in names if name in results]
            rows = [(name, variant) for name in names for variant in list(results[name]["variants"])[1:]]
            for place, (name, variant) in enumerate(rows):
                low, middle, high = results[name]["variants"][variant]["cpu_ratio_quartiles"]
                goal = GOALS.get(name) if variant != "torch.compile" else None
                said = f", goal at most {goal}" if goal else ""
                print(f"{name}, {variant}: {middle:.2f} [{low:.2f}, {high:.2f}] of {reference} CPU time{said}")
                error = [[middle - low], [high - middle]]
                axis.errorbar([middle], [place], xerr=error, fmt="o", color=style.MODEL, capsize=3)
                if goal:
                    axis.plot([goal], [place], "|", color=style.VERMILION, markersize=16, markeredgewidth=1.6)
            axis.axvline(1, color=style.BLACK, linewidth=0.8)
            texts = [f"{LABELS.get(name, name)}\n{variant}" for name, variant in rows]
            axis.set_yticks(range(len(rows)), texts, fontsize=7)
            axis.set_ylim(len(rows) - 0.5, -0.5)
            axis.set_xlim(0, max(2.0, axis.get_xlim()[1]))
            title = "A step beside PyTorch's" if reference == "PyTorch's" else "Mixing and adding sessions"
            style.finish(axis, f"CPU time / {reference} (no unit)", "", title)
        axes[0, 0].plot([], [], "|", color=style.VERMILION, label="goal (at most)")
        style.legend_below(axes[0, 0], 1)
        write_bytes(HERE / "throughput.png", style.png_bytes(figure))
    steps = {
        (name, variant): float(np.median(entry[entry["counts"]]))
        for name, block in results.items()
        for variant, entry in block.get("variants", {}).items()
    }
    for (name, variant), step_s in steps.items():
        entry = results[name]["variants"][variant]
        words = [
            f"{step_s:.3f} s a step",
            f"{entry['trials_per_s']:.1f} trials/s",
            f"{entry['tokens_per_s']:.0f} tokens/s",
        ]
        words += [f"compiled in {entry['compile_s']:.1f} s", f"{entry.get('recompiles', 0)} recompiles"]
        if "peak_host_bytes" in entry:  # said at the end of a process, so not of one that was stopped
            words.append(f"{entry['peak_host_bytes'] / 2**30:.2f} GiB")
        words.append(f"{entry['parameters'] / 1e6:.2f} M parameters")
        if "flops_per_step" in entry:
            words.append(
                f"{entry['flops_per_step'] / step_s / 1e9:.1f} Gop/s of {entry['flops_per_step'] / 1e9:.1f} a step"
            )
        print(f"{name}, {variant}: {', '.join(words)}")


if __name__ == "__main__":
    main()
