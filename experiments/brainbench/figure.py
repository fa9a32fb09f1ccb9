"""Draws experiments/brainbench/scores.png from results.json; needs no accelerator."""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import at, beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
COLOURS = {"base": style.BLUE, "chat": style.ORANGE, "finetuned": style.GREEN, "scratch": style.PINK}
SHOWN = ("tiiuae--falcon-180B", "gpt2")  # with their certainty
SUBFIELDS = {
    "Behavioral/Cognitive": "behaviour", "Cellular/Molecular": "cells", "Development/Plasticity/Repair": "development",
    "Neurobiology of Disease": "disease", "Systems/Circuits": "systems",
}  # fmt: skip
CORPORA = {
    "human_items": "items", "arxiv_abstracts_20210601_20211231": "arXiv 2021",
    "arxiv_abstracts_20230601_20231231": "arXiv 2023", "biorxiv_abstracts_2021-06-01_2021-12-01": "bioRxiv 2021",
    "biorxiv_abstracts_2023-06-01_2023-12-01": "bioRxiv 2023", "gettysburg_address": "Gettysburg",
}  # fmt: skip


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names; each says itself where it stands."""
    wanted = read_json(HERE / "expected.json")
    return {name: at(results, entry["observed"][1:]) for name, entry in wanted.items()}


def draw_models(axes, results: dict) -> None:
    """Accuracy of every model, with its interval over items, beside people's."""
    found = results["accuracy"]["human_items"]
    order = sorted(found["models"], key=found["models"].get)
    for place, name in enumerate(order):
        share, interval = found["models"][name], np.array(found["models_ci95"][name])
        axes.barh(place, share, color=COLOURS[results["kinds"][name]], height=0.75)
        axes.plot(interval.clip(0, 1), [place, place], color=style.BLACK, linewidth=0.8)
    axes.axvline(0.5, color=style.GREY, linestyle=":", linewidth=0.8)
    people = results["people"]["human"]["accuracy"]["value"]
    axes.axvline(people, color=style.BLACK, linestyle="--", linewidth=1.0)
    axes.set_yticks(range(len(order)), [results["labels"][name] for name in order], fontsize=6)
    axes.set_xlim(0.4, 1)
    handles = [axes.barh(0, 0, color=colour, label=kind) for kind, colour in COLOURS.items()]
    handles.append(axes.plot([], [], "--", color=style.BLACK, linewidth=1.0, label="people")[0])
    style.legend_below(axes, 3, handles)
    style.finish(axes, "share of right choices (95 % interval over items)", "", "a  200 human-made items")


def draw_subfields(axes, results: dict) -> None:
    """Models and people by subfield."""
    models, people = results["subfields"], results["people"]["human"]["subfields"]
    place = np.arange(len(SUBFIELDS))
    for shift, colour, label, source in ((-0.2, style.BLUE, "15 models", models), (0.2, style.GREY, "people", people)):
        axes.bar(place + shift, [source[name]["accuracy"] for name in SUBFIELDS], 0.38, color=colour, label=label)
    axes.set_xticks(place, list(SUBFIELDS.values()), rotation=25, ha="right")
    axes.set_ylim(0.4, 1.12)
    axes.legend(ncols=2, loc="upper right", fontsize=7)
    style.finish(axes, "", "share of right choices", "b  by subfield")


def draw_certainty(axes, results: dict) -> None:
    """Accuracy by rank of certainty: twenty bins of models, quintiles of people."""
    for name, colour in zip(SHOWN, (style.BLUE, style.VERMILION), strict=True):
        bins = results["calibration"][name]["bins"]
        axes.plot((np.arange(len(bins)) + 0.5) / len(bins), bins, "o-", markersize=3, color=colour,
                  label=results["labels"][name])  # fmt: skip
    quintiles = results["people"]["human"]["by_confidence_quintile"]
    axes.plot((np.arange(5) + 0.5) / 5, quintiles, "s--", markersize=4, color=style.BLACK, label="people")
    axes.axhline(0.5, color=style.GREY, linestyle=":", linewidth=0.8)
    axes.legend(fontsize=7, loc="lower right")
    style.finish(axes, "rank of certainty (least to most)", "share of right choices", "c  certainty and being right")


def draw_memorisation(axes, results: dict) -> None:
    """Median ratio of compressed bytes to perplexity of one model, by corpus."""
    for number, (name, colour) in enumerate(
        {"tiiuae--falcon-180B": style.BLUE, "meta-llama--Llama-2-70b-hf": style.GREEN}.items()
    ):
        medians = results["memorisation"][name]["median"]
        place = np.arange(len(CORPORA)) + (number - 0.5) * 0.4
        axes.bar(place, [medians[corpus] for corpus in CORPORA], 0.38, color=colour, label=results["labels"][name])
    axes.set_yscale("log")
    axes.set_yticks([60, 100, 200, 400, 600], ["60", "100", "200", "400", "600"])
    axes.minorticks_off()
    axes.set_xticks(range(len(CORPORA)), list(CORPORA.values()), rotation=35, ha="right")
    axes.legend(fontsize=7, loc="upper left")
    style.finish(axes, "", "zlib bytes / perplexity (median)", "d  memorised?")


def draw_teams(axes, results: dict) -> None:
    """People, a model, and both together."""
    found = results["teams"]["models"]
    for number, (who, colour) in enumerate({"people": style.GREY, "model": style.BLUE, "team": style.GREEN}.items()):
        place = np.arange(len(found)) + (number - 1) * 0.27
        axes.bar(place, [one[who]["value"] for one in found.values()], 0.25, color=colour, label=who)
        for at_x, one in zip(place, found.values(), strict=True):
            axes.plot([at_x, at_x], one[who]["ci95"], color=style.BLACK, linewidth=0.8)
    names = [results["labels"][name].replace(" (pretrained)", "") for name in found]
    axes.set_xticks(range(len(found)), names, rotation=25, ha="right")
    axes.set_ylim(0.4, 1.1)
    axes.legend(ncols=3, fontsize=7, loc="upper right")
    style.finish(axes, "", "share of right choices", "e  people and models together")


def draw(results: dict) -> bytes:
    """The whole page as PNG bytes."""
    with style.context():
        figure, _ = style.new_figure(11, 7.2, 0)
        grid = figure.add_gridspec(2, 3, width_ratios=(1.4, 1, 1))
        draw_models(figure.add_subplot(grid[:, 0]), results)
        places = (grid[0, 1], grid[0, 2], grid[1, 1], grid[1, 2])
        for place, panel in zip(places, (draw_subfields, draw_certainty, draw_memorisation, draw_teams), strict=True):
            panel(figure.add_subplot(place), results)
        return style.png_bytes(figure)


if __name__ == "__main__":
    found = read_json(HERE / "results.json")
    write_bytes(HERE / "scores.png", draw(found))
    print("\n".join(beside(observed(found), read_json(HERE / "expected.json"))))
