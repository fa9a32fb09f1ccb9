"""Draws experiments/generation/overview.png from results.json and prints the README's tables."""

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import generation, style

HERE = Path(__file__).parent
STATISTICS = ("rate_hz", "fano", "interval_cv")


def blocks_of(results: dict) -> list[dict]:
    """The `generation` block of each animal."""
    return [session["generation"] for session in results["synthetic"]["sessions"].values()]


def mean(blocks: list[dict], *keys: str) -> np.ndarray:
    """Mean over animals of what stands under these keys."""
    found = []
    for block in blocks:
        for key in keys:
            block = block[key]
        found.append(block)
    return np.mean(np.asarray(found, np.float64), axis=0)


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    blocks = blocks_of(results)
    found = {
        "model over persistence, least over horizons 1 to 8, bits/spike": mean(blocks, "over_persistence", "bps").min(),
        "model over train mean, least over horizons 1 to 8, bits/spike": mean(blocks, "forecast", "model", "bps").min(),
        "share of known dynamics at horizon 1": mean(blocks, "share_of_known_dynamics")[0],
        "correlations, spread, generated over real": mean(blocks, "statistics", "correlation", "ratio"),
    }
    found |= {f"{name}, generated over real": mean(blocks, "statistics", name, "ratio") for name in STATISTICS}
    for size in ("tiny", "small"):
        found[f"a bin of 500 units, size={size}, median ms"] = results[f"latency {size}"]["wall_ms"]["median"]
    return {name: round(float(value), 4) for name, value in found.items()}


def table(results: dict) -> list[str]:
    """Lines of the README's tables."""
    blocks = blocks_of(results)
    lines = [f"| bins ahead | {' | '.join(str(h) for h in blocks[0]['horizons'])} |", "|---" * 9 + "|"]
    rows = {name.replace("_", " "): mean(blocks, "forecast", name, "bps") for name in blocks[0]["forecast"]}
    rows["model minus persistence"] = mean(blocks, "over_persistence", "bps")
    rows["model / known dynamics"] = mean(blocks, "share_of_known_dynamics")
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |" for name, values in rows.items()]
    lines += ["", "| | real | generated | ratio |", "|---|---|---|---|"]
    sides = {name: ("real", "generated", "ratio") for name in STATISTICS}
    sides["correlation"] = ("real_std", "generated_std", "ratio")
    for name, keys in sides.items():
        values = " | ".join(f"{mean(blocks, 'statistics', name, key):.3f}" for key in keys)
        lines.append(f"| {name} | {values} |")
    r, halves = (mean(blocks, "statistics", "correlation", key) for key in ("r", "r_of_halves"))
    lines.append(f"\nr of correlations {r:.3f}, of real halves {halves:.3f}")
    for size in ("tiny", "small"):
        lines.append(f"latency {size}: {results[f'latency {size}']}")
    return lines


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "overview.png").write_bytes(style.png_bytes(generation.overview(found["synthetic"])))
    print("\n".join(table(found)))
    print("\n".join(beside(observed(found), json.loads((HERE / "expected.json").read_text()))))
