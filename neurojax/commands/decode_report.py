"""What `neurojax decode` leaves and prints: decoding.json, decoding.html, a figure, a table and plain words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.evals import page, tables
from neurojax.evals.decoding.scores import MAIN
from neurojax.files import write_bytes, write_json

_UNITS = {"balanced_accuracy": "balanced accuracy (1 is perfect)", "r2": "R2 (1 is perfect)"}


def write(folder: Path, report: Mapping[str, Any]) -> None:
    """Writes decoding.json first, then the figure and the page; prints the table and when not to trust it."""
    write_json(folder / "decoding.json", report)
    print(table(report))
    print("\nWhen not to trust this decoder")
    for sentence in report["when_not_to_trust"]:
        print(f"- {sentence}")
    pictures = []
    try:
        from neurojax.viz import decoding, style

        png = style.png_bytes(decoding.figure(report))
        write_bytes(folder / "figures" / "decoding.png", png)
        pictures = [page.picture(png, "Scores and confidence on held-out trials; bars are 95 % intervals.", wide=True)]
    except ImportError:
        print('the figure needs matplotlib: pip install "neurojax[viz]"')
    write_bytes(folder / "decoding.html", _page(report, pictures).encode())
    print(f"decoding: {folder / 'decoding.json'}, {folder / 'decoding.html'}")


def table(report: Mapping[str, Any]) -> str:
    """Sessions by read-out, the mean, and what the model has over each baseline."""
    rows = [[f"{report['target']}", *_names(report)], *_rows(report)]
    trials = "trials the model never saw" if report["trials"] == "unseen" else "all held-out trials"
    return "\n".join([*tables.align(rows), f"{_UNITS[MAIN[report['kind']]]}, {trials}, 95 % intervals over trials"])


def _names(report) -> list[str]:
    return list(dict.fromkeys(name for entry in report["sessions"].values() for name in entry["read_outs"]))


def _rows(report) -> list[list[str]]:
    main, names = MAIN[report["kind"]], _names(report)
    rows = [
        [tables.shorten(key, 24), *(_cell(entry["read_outs"].get(name, {}), main) for name in names)]
        for key, entry in report["sessions"].items()
    ]
    if len(rows) > 1:
        rows.append([f"mean of {len(rows)}", *(_cell(report["mean"].get(name, {}), main) for name in names)])
    gains = [report["mean"].get(name, {}).get("model_minus_it", {}) for name in names]
    rows.append(["model minus it", *(_cell(gain, main, "+") for gain in gains)])
    return rows


def _cell(block: Mapping[str, Any], main: str, sign: str = "") -> str:
    if block.get(main) is None:
        return "-"
    ends = block.get(f"{main}_ci95")
    return f"{block[main]:{sign}.3f}" + (f" [{ends[0]:{sign}.2f}, {ends[1]:{sign}.2f}]" if ends else "")


def _page(report, pictures: list[str]) -> str:
    names = _names(report)
    words = [page.paragraph(f"• {sentence}") for sentence in report["when_not_to_trust"]]
    protocol = (
        f"Protocol {report['protocol']}, {report['method']} on {report['features']}; every choice of a read-out was "
        "made on its fitting trials alone. Balanced accuracy is the mean share of right answers over classes; R2 the "
        "mean over dimensions. Shuffled labels give chance."
    )
    regions = [
        [key, region, str(block["num_units"]), _cell(block, MAIN[report["kind"]])]
        for key, entry in report["sessions"].items()
        for region, block in entry.get("regions", {}).items()
    ]
    tail = (
        [page.heading("From single regions"), page.table(["session", "region", "units", "score"], regions)]
        if regions
        else []
    )
    caption = _UNITS[MAIN[report["kind"]]] + ", with 95 % intervals over trials"
    return page.page(
        f"Decoding {report['target']}",
        page.table(["session", *names], _rows(report), caption=caption),
        page.heading("When not to trust this decoder"),
        *words,
        *pictures,
        *tail,
        page.paragraph(protocol, soft=True),
    )
