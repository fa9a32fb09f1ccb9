"""The page of `neurojax inspect`: a map of features, pictures, and a card for each feature."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.files import write_bytes
from neurojax.report import page, svg
from neurojax.report.figures import inside, style

MAX_BARS = 5
MOST_P = 0.05  # above it regions are not read from rows
_CSS = """<style>
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft);
  font: 13px system-ui, "DejaVu Sans", sans-serif; }
svg .axis { stroke: var(--line); } svg .curve { fill: none; stroke: var(--mark); stroke-width: 2; }
svg .pale { opacity: .35; stroke-width: 1.2; } svg circle { opacity: .75; stroke: var(--back); }
svg a:hover circle, svg a:focus circle { opacity: 1; stroke: var(--ink); stroke-width: 2; }
.cards { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem .9rem; min-width: 0; scroll-margin-top: 1rem; }
.card:target { border-color: var(--mark); box-shadow: 0 0 0 2px var(--mark); }
.card h3 { margin: 0; font-size: 1rem; } .card p { margin: .1rem 0 .5rem; }
.card h4 { margin: .6rem 0 .1rem; font-size: .8rem; font-weight: 600; color: var(--soft); }
.alone { color: #d55e00; font-weight: 600; }
.bars { display: grid; grid-template-columns: minmax(0, 7rem) 1fr auto; gap: .1rem .5rem;
  align-items: center; font-size: .82rem; overflow-wrap: anywhere; }
.bar { background: var(--line); border-radius: 3px; height: .5rem; min-width: 0; }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--mark); }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .85rem; color: var(--soft); }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
  margin-right: .3rem; } .alone_list { columns: 4 8rem; font-size: .85rem; }
</style>"""
_HOW = [
    ["feature", "a direction of the model's states that is on in few bins; found without labels"],
    ["drives", "change of a region's predicted rate with the feature less without it, where it is "
     "on; the feature alone is taken out of the states, everything else stays"],
    ["tuned to", "correlation on test trials; chosen among columns on training trials, over all "
     "recordings that have the column"],
    ["splice-in", "the read-out gets states made of features; an eighth of the units is hidden and "
     "predicted; kept: of what the model's own states add to the mean state"],
    ["stitching failure", "a feature of one recording alone: the model keeps something there "
     "that it shares with no other recording (or only that one has it)"],
    ["map of regions", "a region is hidden and predicted, with one spike more in one bin of one "
     "unit of another region (of real values one standard deviation more); share of the variance "
     "that independent fluctuations of each other region's counts would give that prediction, to "
     "first order; the spikes are drawn, so shares are rough"],
    ["rows of units", "what the stitcher learned of each unit from spikes; the region is read by a "
     "linear classifier, units or whole recordings left out, labels dealt anew as the null"],
]  # fmt: skip


def write(path: Path, record: Mapping[str, Any], name: str) -> None:
    """Writes the page of a record of `commands.inspect`."""
    write_bytes(path, html_of(record, name).encode())


def html_of(record: Mapping[str, Any], name: str) -> str:
    """The page; `name` is that of the run."""
    told = [page.paragraph(line) for line in sentences(record)]
    title = f"Inside {name}"
    cards = record["cards"]
    note = "Each dot is a feature and leads to its card. Area: share of the activations' energy."
    content = [
        _CSS,
        page.heading(title, 1),
        page.paragraph(
            f"{record['model']}, step {record['step']:,}; {len(record['recordings'])} recordings.",
            soft=True,
        ),
        _map(record),
        page.paragraph(note, soft=True),
        *told,
        _pictures(record),
        page.heading(f"The {len(cards)} features that carry most"),
        f"<div class=cards>{''.join(_card(card, record) for card in cards)}</div>",
        *_failures(record),
        page.folded("What the words mean", page.table(["", ""], _HOW, wrap=True)),
        page.folded("Numbers", *_numbers(record)),
    ]
    return page.page(title, *content)


def sentences(record: Mapping[str, Any]) -> list[str]:
    """What was found, a sentence for each part."""
    sae, kept, alone = record["autoencoder"], record["splice_in"], record["stitching"]
    found = [
        f"{sae['num_features']} features of {sae['num_dims']} dimensions, "
        f"{sae['num_active_found']:.1f} on at a time: they leave {100 * sae['unexplained']:.1f} % "
        "of the variance of the states of training trials that they were fitted to; "
        f"{100 * sae['dead_share']:.1f} % are never on in these."
    ]
    if kept is None:
        found.append(f"No splice-in: {record['splice_in_reason']}.")
    elif kept["kept_above_mean"] is None:
        found.append("No splice-in: the model's own states predict no better than their mean.")
    else:
        found.append(
            f"Read from features, predictions keep {100 * kept['kept_above_mean']:.1f} % of what "
            f"states add to their mean ({kept['spliced']:.3f} of {kept['model']:.3f} "
            f"{kept['score']}, {kept['mean_state']:.3f} from the mean state; "
            f"{kept['num_active']:.1f} features on)."
        )
    if alone["num_recordings"] > 1:
        number = len(alone["of_one_recording"])
        found.append(
            f"{number} of {alone['num_alive']} features fire in one recording alone: stitching "
            "failures."
            if number
            else "No feature is of one recording alone."
        )
    rows = record["embeddings"]
    for table, block in (rows["tables"] if rows else {}).items():
        asked = {what: one for what, one in block.items() if one and one["chance"] is not None}
        for is_read in (True, False):
            told = [
                f"{one['accuracy']:.2f} where {what} are left out (chance {one['chance']:.2f}, "
                f"p {one['p']:.2g})"
                for what, one in asked.items()
                if (one["p"] <= MOST_P) == is_read
            ]
            if told:
                found.append(
                    f"Regions are {'' if is_read else 'not '}read from {table.replace('_', '-')} "
                    f"rows: balanced accuracy {'; '.join(told)}."
                )
    return found


def _region_of(card: Mapping[str, Any]) -> str:
    drives = card.get("drives") or {}
    return max(drives, key=lambda name: abs(drives[name]["change_share"]), default="")


def _map(record: Mapping[str, Any]) -> str:
    cards = record["cards"]
    if not cards:
        return page.paragraph("No feature ever fires.")
    with_drives = any(card.get("drives") for card in cards)
    driven = [_region_of(card) for card in cards]
    # The colours go to those that most features drive.
    regions = sorted({*driven} - {""}, key=lambda name: (-driven.count(name), name))
    colours = inside.colour_of(regions) | {"": style.GREY}
    largest = max(card["energy"] for card in cards)

    def height(card: Mapping[str, Any]) -> float:
        if with_drives:
            region = _region_of(card)
            return 100 * abs(card["drives"][region]["change_share"]) if region else 0.0
        return max((abs(one["test"]) for one in card["tuning"]), default=0.0)

    dots = [
        svg.Dot(
            card["share_of_bins"],
            height(card),
            card["energy"] / largest,
            colours[_region_of(card)],
            f"#f{card['feature']}",
            f"feature {card['feature']}: {card['words']}",
        )
        for card in cards
    ]
    y_label = "change of a region's rate (%)" if with_drives else "largest correlation"
    drawn = [
        svg.dot_map(
            dots, width, high, "share of bins in which it is on", y_label, "Map of features"
        )
        for width, high in ((900, 380), (380, 360))
    ]
    keys = "".join(
        f'<span><i style="background:{colours[name]}"></i>{page.text(name)}</span>'
        for name in regions
        if colours[name] != style.GREY
    )
    legend = (
        f"<div class=key><span>drives most (grey: others):</span>{keys}</div>" if regions else ""
    )
    return page.by_width([drawn[0]], [drawn[1]]) + legend


def _pictures(record: Mapping[str, Any]) -> str:
    """The figures side by side; a line where they cannot be drawn."""
    wanted = [
        (inside.splice_in, record["splice_in"], "Score of hidden units by what the read-out is "
         "given; dots are recordings."),
        (inside.tuning, record["columns"], "Correlation on test trials of the feature and of the "
         "unit that training trials choose, mean over recordings."),
        (inside.gradients, record["gradients"], _map_caption(record["gradients"])),
        (inside.embeddings, record["embeddings"], "Each dot is a unit, by its read-out row, "
         "standardised in its recording."),
    ]  # fmt: skip
    try:
        with style.context():
            drawn = [
                page.picture(style.png_bytes(draw(block)), caption)
                for draw, block, caption in wanted
                if block
            ]
    except ImportError:
        return page.paragraph(page.NO_MATPLOTLIB.replace("evaluate", "inspect"))
    return page.grid(*drawn)


def _map_caption(block: Mapping[str, Any] | None) -> str:
    numbers = [n for row in (block or {}).get("num_entries", ()) for n in row if n]
    drawn = f", at least {min(numbers)} spikes added for each square" if numbers else ""
    return f"Whose spikes a hidden region's prediction moves with{drawn}; columns sum to one."


def _card(card: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    alone = len(card["recordings"]) > 1 and len(card["fires_in"]) == 1
    fires = f"on in {100 * card['share_of_bins']:.2g} % of bins"
    parts = [
        f"<h3>feature {card['feature']}</h3>",
        f"<p{' class=alone' if alone else ''}>{page.text(card['words'])}</p>",
        svg.traces(
            [trial["trace"] for trial in card["top_trials"]],
            f"activation of feature {card['feature']} in its strongest trials",
        ),
        page.paragraph(f"{fires}; strongest: {_trials(card['top_trials'])}", soft=True),
    ]
    if card.get("drives"):
        parts += ["<h4>drives</h4>", svg.bars(_drives(card["drives"], record["kind"]))]
    if card["tuning"]:
        rows = [(one["column"], abs(one["test"]), f"{one['test']:+.2f}") for one in card["tuning"]]
        parts += ["<h4>tuned to (test trials)</h4>", svg.bars(rows)]
    if len(card["recordings"]) > 1:
        parts += ["<h4>share of bins by recording</h4>", svg.bars(_recordings(card["recordings"]))]
    return f'<article class=card id="f{card["feature"]}">{"".join(parts)}</article>'


def _trials(trials: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['recording']} trial {one['trial']}" for one in trials[:2])


def _drives(drives: Mapping[str, Any], kind: str) -> list[tuple[str, float, str]]:
    order = sorted(drives, key=lambda name: -abs(drives[name]["change_share"]))[:MAX_BARS]
    longest = max((abs(drives[name]["change_share"]) for name in order), default=0.0) or 1.0
    unit = " Hz" if kind == "counts" else ""
    return [
        (
            name,
            abs(drives[name]["change_share"]) / longest,
            f"{drives[name]['change']:+.2g}{unit} ({100 * drives[name]['change_share']:+.0f} %)",
        )
        for name in order
    ]


def _recordings(shares: Mapping[str, float]) -> list[tuple[str, float, str]]:
    order = sorted(shares, key=lambda name: -shares[name])[:MAX_BARS]
    longest = max(shares.values()) or 1.0
    return [(name, shares[name] / longest, f"{100 * shares[name]:.2g} %") for name in order]


def _failures(record: Mapping[str, Any]) -> list[str]:
    alone = record["stitching"]["of_one_recording"]
    if not alone:
        return []
    shown = {card["feature"] for card in record["cards"]}
    listed = "".join(
        f'<div><a href="#f{number}">feature {number}</a></div>'
        if number in shown
        else f"<div>feature {number}</div>"
        for number in alone
    )
    told = "Features of one recording alone; those that carry most have a card above."
    return [
        page.heading("Stitching failures"),
        page.paragraph(told, soft=True),
        f"<div class=alone_list>{listed}</div>",
    ]


def _numbers(record: Mapping[str, Any]) -> list[str]:
    parts = []
    if record["splice_in"]:
        heads = ["", "own states", "features", "mean state", "zeros", "kept above mean"]
        blocks = {"all": record["splice_in"], **record["splice_in"]["sessions"]}
        keys = ("model", "spliced", "mean_state", "zero_state", "kept_above_mean")
        rows = [[name, *(_number(one[key]) for key in keys)] for name, one in blocks.items()]
        score = record["splice_in"]["score"]
        parts.append(page.table(heads, rows, caption=f"Splice-in, {score}"))
    if record["columns"]:
        names = ("feature", "unit", "smoothed_unit")
        rows = [
            [name, *(_number(one.get(key)) for key in names),
             f"{one['feature_above_unit']} of {one['num_recordings']}"]
            for name, one in record["columns"].items()
        ]  # fmt: skip
        heads = ["", "feature", "unit", "unit, smoothed", "feature above unit"]
        caption = "Correlation on test trials, chosen on training trials"
        parts.append(page.table(heads, rows, caption=caption))
    return parts


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"
