"""The part of a report on activity that a model goes on with by itself, as HTML."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.evals import tables
from neurojax.report import page

STATISTICS = {
    "rate_hz": "rate (Hz), mean",
    "fano": "Fano factor, median",
    "interval_cv": "variation of intervals, median",
}
_SIDES = ("real", "generated", "ratio")


def generation_tables(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: forecasts by horizon and statistics of generated trials, means over sessions; [] of a
    run that does not go on by itself."""
    blocks = [session.get("generation") for session in evaluation["sessions"].values()]
    blocks = [block for block in blocks if block]
    if not blocks:
        return []
    number = min(len(block["horizons"]) for block in blocks)
    rows = [
        [tables.label(name), *_means([block["forecast"][name]["bps"] for block in blocks], number)]
        for name in blocks[0]["forecast"]
        if all(name in block["forecast"] for block in blocks)
    ]
    over = [block["over_persistence"]["bps"] for block in blocks]
    rows.append(["model - persistence", *_means(over, number)])
    if all("share_of_known_dynamics" in block for block in blocks):
        shares = [block["share_of_known_dynamics"] for block in blocks]
        rows.append(["model / known dynamics", *_means(shares, number)])
    samples, origins = blocks[0]["num_samples"], blocks[0]["origins"]
    caption = (
        f"bits/spike over the train mean by bins ahead, mean over {samples} sampled continuations "
        f"from {len(origins)} bins of every test trial on; mean over sessions. Known dynamics: who "
        "knows how the animals were made sees the same spikes; true rates know the future too"
    )
    heads = ["forecast", *(str(place) for place in range(1, number + 1))]
    told = page.table(heads, rows, caption=caption)
    return [page.folded("Forecasts and generated activity", told, _statistics(blocks))]


def _statistics(blocks) -> str:
    rows = []
    for name, words in STATISTICS.items():
        found = [block["statistics"][name] for block in blocks]
        rows.append([words, *(_mean([one[side] for one in found]) for side in _SIDES)])
    pairs = [block["statistics"]["correlation"] for block in blocks]
    names = ("real_std", "generated_std", "ratio")
    rows.append(["correlations, spread", *(_mean([one[side] for one in pairs]) for side in names)])
    alike = _mean([one["r"] for one in pairs]), _mean([one["r_of_halves"] for one in pairs])
    caption = (
        "test trials and continuations of their beginnings, units with at least 20 spikes, windows "
        f"of {blocks[0]['statistics']['window_s']:g} s; correlations of real and generated pairs "
        f"agree with r = {alike[0]}, those of two halves of the real trials with {alike[1]}"
    )
    return page.table(["generated activity", *_SIDES], rows, caption=caption)


def _means(values, number: int) -> list[str]:
    return [_mean([one[place] for one in values]) for place in range(number)]


def _mean(values) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else "-"
