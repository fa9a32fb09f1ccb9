"""Blocks of results_page.py that are of EEG: speech of made-up people, a headset's recordings."""

import json
from collections.abc import Callable, Iterator

from results_blocks import HERE, Block, read, with_ends

PARTS = {
    "ssvep subject1": "flicker, person 1",
    "N170 subject1, runs": "faces, person 1, runs",
    "N170 subject3, sessions": "faces, person 3, sessions",
    "P300 subject1, runs": "rare or frequent, runs",
}

WORDS = {
    "power": "bar: log power at some frequencies",
    "csp": "bar: spatial patterns of variance",
    "riemann": "bar: Riemannian geometry",
    "evoked": "bar: short means of the response",
}


def speech() -> Iterator[Block]:
    """Sentences from made-up EEG beside the best reader."""
    content = read("eeg_speech/results.json")["arms"]["curve/2048"]
    block = content["retrieval"]
    chance = block["chance"]
    rows = [("floor: chance", [f"{chance['top1']:.4f}", f"{chance['top10']:.3f}", ""])]
    for name, one in (*block["floors"].items(), ("model", block)):
        later = with_ends(one["held_out_day"], "top1")
        rows.append((name, [with_ends(one, "top1"), with_ends(one, "top10"), later]))
    best = block["ceiling"]
    yield Block(
        "Sentences from made-up EEG, 512 that training never met",
        f"`eeg.py`, {content['num_steps']} steps, four people",
        "days that training saw, and one that it did not",
        "share of windows whose own sentence comes first, or among ten",
        "people (t)",
        ["top-1", "top-10", "top-1, a day never seen"],
        rows,
        f"who knows how the recordings were made: top-1 {best['top1']:.3f}, top-10 {best['top10']:.3f}",
        content,
        "eeg_speech",
    )


def headset() -> Iterator[Block]:
    """Two classes of EEG, whole runs held out."""
    content = read("eeg_real/results.json")
    trained = json.loads((HERE / "eeg_real" / "network.json").read_text())
    found = {
        name: dict((content["ssvep"]["subject1"] if "ssvep" in name else content[name])["decoders"]) for name in PARTS
    }
    for name in PARTS:
        if name in trained:
            found[name]["model"] = trained[name]
    methods = list(dict.fromkeys(method for one in found.values() for method in one if method != "model"))
    rows = [("floor: chance", ["0.500"] * len(PARTS))]
    for method in (*methods, "model"):
        cells = [with_ends(found[name][method], "mean_of_parts") if method in found[name] else "" for name in PARTS]
        rows.append((method if method == "model" else WORDS.get(method, f"bar: {method}"), cells))
    waves = json.loads((HERE / "eeg_real" / "eegnet.json").read_text())
    for network in ("eegnet", "eegnet_conformer"):
        own = waves.get(network, {})
        cells = [with_ends(own[name], "mean_of_parts") if name in own else "" for name in PARTS]
        if own:
            rows.append((f"`eeg.py:{network}`", cells))
    yield Block(
        "EEG of a headset with four electrodes, two classes",
        "`emg.py:filters` on EEG",
        "one run, or session, held out at a time",
        "area under the curve, mean of the parts held out",
        "the parts (t)",
        list(PARTS.values()),
        rows,
        "not known",
        content,
        "eeg_real",
    )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {
    "Sentences from EEG": speech,
    "EEG of a headset": headset,
}
