"""Draws curves.png from results.json and prints the numbers of expected.json.

python experiments/learning_curves/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    covered = [one["covered"] for one in results["coverage"]["result"].values()]
    shares = {name: float(np.mean([one[name] for one in covered])) for name in covered[0]}
    curves = list(results["ridge"]["result"]["curves"].values())
    phenotype = results["phenotype"]["result"]
    schulz = phenotype["Schulz's form, power_floor alone"]
    halves = results["half"]["result"].values()
    return {
        **{f"coverage of a 90 % interval, {name}, mean of six curves": share for name, share in shares.items()},
        "ridge at 100,000 trials inside its interval, share": sum(c["held"] for c in curves)
        / sum(c["repeats"] for c in curves),
        "phenotype at a million people by Schulz's form, middle of the interval": schulz["median_middle"],
        "phenotype by Schulz's form inside its interval, share": schulz["held"] / schulz["repeats"],
        "bare numbers given for a million people": sum(one["gave_a_number"] for one in phenotype.values()),
        "larger half of the sizes inside the interval of a run, share": float(np.mean([h["inside"] for h in halves])),
    }


def draw(results: dict) -> bytes:
    """Coverage, and ridge curves with what was forecast from 1,000 trials for 100,000."""
    figure, ((left, right),) = style.new_figure(9.6, 3.8, 1, 2, width_ratios=(1, 1.15))
    rows = results["coverage"]["result"]
    for place, (name, colour) in enumerate(
        {"exponent": style.BLUE, "limit": style.VERMILION, "at 5,000": style.GREEN}.items()
    ):
        shares = [one["covered"][name] for one in rows.values()]
        spots = np.arange(len(rows)) + 0.2 * (place - 1)
        error = [1.96 * np.sqrt(s * (1 - s) / one["repeats"]) for s, one in zip(shares, rows.values(), strict=True)]
        left.errorbar(shares, spots, xerr=error, fmt="o", ms=4, color=colour, label=name, capsize=2)
    left.axvspan(0.85, 0.95, color=style.PALE, alpha=0.6, linewidth=0)
    left.axvline(0.9, color=style.BLACK, linewidth=0.8)
    left.set_yticks(range(len(rows)), [name.replace(", scatter", ",\nscatter") for name in rows], fontsize=7)
    left.invert_yaxis()
    left.set_xlim(0.8, 1.0)
    left.legend(loc="lower left")
    style.finish(left, "share of 90 % intervals that hold the truth", "", "Coverage, power law with a limit")
    ridge = results["ridge"]["result"]
    shown = {name: one for name, one in ridge["curves"].items() if name.endswith("0.01")}
    for place, ((name, one), colour) in enumerate(zip(shown.items(), style.CYCLE, strict=False)):
        right.plot(ridge["sizes"], one["example"]["scores"], "o", ms=3, color=colour, label=name.partition(", sc")[0])
        low, high = one["example"]["low"], one["example"]["high"]
        middle = 0.5 * (low + high)
        right.errorbar(
            [1e5 * 1.25**place], [middle], [[middle - low], [high - middle]], fmt="none", color=colour, capsize=4
        )
        right.plot([1e5 * 1.25**place], [one["truth"]], "_", ms=7, color=style.BLACK)
    right.set_xscale("log")
    right.legend(fontsize=7)
    style.finish(right, "training trials; at 100,000: forecast, and truth (black)", "risk / noise variance", "Ridge")
    return style.png_bytes(figure)


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    with style.context():
        write_bytes(HERE / "curves.png", draw(results))
    print("\n".join(beside(observed(results), read_json(HERE / "expected.json"))))
