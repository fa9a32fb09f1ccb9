"""The diagrams of docs/concepts.md, drawn by the package itself: python docs/draw_diagrams.py

What is hidden is drawn by the objective, what is asked by the protocol, rows come from the layout,
bits per spike from the scores. Nothing is drawn by hand but boxes, arrows and words.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent / "diagrams"
WIDTH = 640
INK, SOFT, EDGE = "#1b1f24", "#57606a", "#d0d7de"
SHOWN, HIDDEN, ASKED = "#9ecae1", "#d9d9d9", "#d95f02"
ANIMALS = ("#0072b2", "#009e73", "#cc79a7")
REGIONS = ("CA1", "LP", "VISp")


def box(x, y, width, height, fill, stroke="none", radius=0) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
        f'stroke="{stroke}" rx="{radius:g}"/>'
    )


def words(x, y, content: str, size=15, anchor="start", fill=INK, bold=False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
        f"{weight}>{html.escape(content)}</text>"
    )


def line(points: Sequence[tuple[float, float]], stroke=INK, width=1.5, more="") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" {more}/>'
    )


def drawing(height: int, title: str, parts: Sequence[str]) -> str:
    """An SVG document on a white card, so that it reads on a dark page too."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif">'
    )
    arrow = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="{SOFT}"/></marker></defs>'
    )
    card = box(0.5, 0.5, WIDTH - 1, height - 1, "#ffffff", EDGE, 8)
    named = f"<title>{html.escape(title)}</title>"
    return "\n".join([opening, named, arrow, card, *parts, "</svg>"]) + "\n"


def entries(x, y, cell, shown: np.ndarray, asked: np.ndarray) -> list[str]:
    """A trial as a grid of units (rows) by bins: shown, hidden and asked for, only hidden.

    Args:
        shown, asked: bool [T, N].
    """
    parts = []
    for fill, where in ((SHOWN, shown), (ASKED, asked), (HIDDEN, ~shown & ~asked)):
        size = cell - 1
        squares = (
            f"M{x + time * cell} {y + unit * cell}h{size}v{size}h-{size}z"
            for time, unit in np.argwhere(where)
        )
        parts.append(f'<path fill="{fill}" d="{"".join(squares)}"/>')
    return parts


def panels(
    title: str, found: Mapping[str, tuple[str, np.ndarray, np.ndarray]], region: Sequence[str]
) -> str:
    """Two panels side by side, `name -> (what it hides, shown, asked)`, and what colours mean."""
    cell, left, column, row = 11, 62, 310, 222
    parts = []
    for number, (name, (about, shown, asked)) in enumerate(found.items()):
        x, y = left + number % 2 * column, 58 + number // 2 * row
        parts.append(words(x, y - 28, name, 16, bold=True))
        parts.append(words(x, y - 9, about, 13, fill=SOFT))
        parts += entries(x, y, cell, shown, asked)
        for label in dict.fromkeys(region):
            rows = [index for index, one in enumerate(region) if one == label]
            middle = y + (rows[0] + rows[-1] + 1) / 2 * cell + 4
            parts.append(words(x - 6, middle, label, 12, "end", SOFT))
            if rows[0]:
                edge = y + rows[0] * cell - 0.5
                parts.append(line([(x - 40, edge), (x + 20 * cell, edge)], SOFT, 1))
        parts.append(words(x + 20 * cell, y + len(region) * cell + 15, "time", 12, "end", SOFT))
    height = 58 + (len(found) + 1) // 2 * row
    x, y = (left, height - 18) if len(found) % 2 == 0 else (left + column, height - 170)
    for fill, meaning in ((SHOWN, "shown"), (ASKED, "hidden, asked for"), (HIDDEN, "hidden only")):
        parts += [box(x, y - 12, 14, 14, fill), words(x + 20, y, meaning, 14)]
        x, y = (x + 170, y) if len(found) % 2 == 0 else (x, y + 28)
    return drawing(height + (8 if len(found) % 2 == 0 else -24), title, parts)


def animal(num_units=12, name="day1"):
    """A made-up recording of one trial a split: 20 bins, three regions."""
    import neurojax as nj

    region = [REGIONS[index * len(REGIONS) // num_units] for index in range(num_units)]
    counts = np.ones((3, 20, num_units), np.int64)
    return nj.Session.from_counts(
        counts, bin_size_s=0.02, session_id=name, region=region, split=np.array([0, 1, 2])
    )


def masking() -> str:
    """What each scheme hides of a trial, as the objective draws it with the shares of mtm.py."""
    import jax
    import jax.numpy as jnp

    from configs.mtm import get_config
    from neurojax.data import batching
    from neurojax.objectives import mtm
    from neurojax.schemes import SCHEMES, scheme_id

    plain = get_config("size=small").objective.to_dict()
    plain.pop("name")
    config = mtm.Config(**{**plain, "schemes": SCHEMES})
    session = animal()
    layout = batching.Layout.of([session])
    batch = batching.session_batch(session, layout, np.array([0]), bucket_units=12)
    about = {
        "neuron": f"{config.neuron_ratio:.0%} of the units",
        "causal": f"{config.causal_ratio:.0%} of the bins, in runs",
        "intra_region": f"one region seen, {config.intra_ratio:.0%} of it asked",
        "inter_region": "a whole region",
        "temporal": f"{config.temporal_ratio:.0%} of the bins, one by one",
    }
    found = {}
    for name in SCHEMES:
        scheme = jnp.full((1, 1), scheme_id(name), jnp.int32)
        query = mtm.draw_query(jax.random.key(26), batch, scheme, config)
        shown, asked = (np.asarray(one)[0, 0] for one in (query.visible(), mtm.asked(query, batch)))
        shown = np.broadcast_to(shown, asked.shape)
        found[name] = about[name], shown, asked
    return panels("What each masking scheme hides of a trial", found, session.region)


def tasks() -> str:
    """The first question of each task of the protocol `mtm`, as the protocol asks it."""
    from neurojax.evals import protocols, tables

    session = animal()
    trial = session.trials_of(2)
    about = {
        "co_smoothing": "one unit, every unit in turn",
        "forward": "the last tenth of the bins",
        "inter_region": "a region, every region in turn",
        "intra_region": "one unit from its region alone",
    }
    found = {}
    for name, task in protocols.MTM.tasks.items():
        question = protocols.questions(session, name)[0]
        units = question.asked.copy()
        if task.hides.in_turn:
            units[np.flatnonzero(units)[1:]] = False
        bins = np.ones((20, 1), bool)
        if task.hides.last_bins:
            bins = protocols.forward_bins(session, trial)[0][:, None]
        asked = bins & units
        shown = np.broadcast_to(question.visible, asked.shape) & ~asked
        found[tables.label(name)] = about[name], shown, asked
    return panels("What each task hides of a test trial and asks for", found, session.region)


def stitching() -> str:
    """Rows of the tables that belong to each animal; what they share between them."""
    from neurojax.data import batching

    sizes = {"mouse-A": 12, "mouse-B": 7, "mouse-C": 17}
    layout = batching.Layout.of([animal(number, name) for name, number in sizes.items()])
    parts, row = [], 7
    top = (64, 176, 254)
    for x, title in ((150, "read-in rows"), (414, "read-out rows")):  # left edges of their tables
        parts.append(words(x + 38, 38, title, 15, "middle", bold=True))
    parts.append(words(320, 38, "shared by all", 15, "middle", bold=True))
    parts += [
        box(262, 130, 116, 190, "#f6f8fa", SOFT, 8),
        words(320, 215, "transformer", 15, "middle", bold=True),
        words(320, 237, "over time", 13, "middle", SOFT),
    ]
    for index, (name, number) in enumerate(sizes.items()):
        y, height = top[index], number * row
        middle, fill = y + height / 2, ANIMALS[index]
        first = int(layout.first_row[index])
        for x, side in ((150, "in"), (414, "out")):
            parts += [box(x, y + unit * row, 76, row - 1, fill) for unit in range(number)]
            label_x, anchor = (142, "end") if side == "in" else (498, "start")
            what = "spikes" if side == "in" else "log-rates"
            parts.append(words(label_x, middle - 3, f"{name} {what}", 14, anchor))
            rows = f"{number} units, rows {first} to {first + number - 1}"
            parts.append(words(label_x, middle + 14, rows, 11, anchor, SOFT))
        arrow = 'marker-end="url(#head)"'
        parts.append(line([(230, middle), (258, 180 + 45 * index)], SOFT, 1.5, arrow))
        parts.append(line([(382, 180 + 45 * index), (410, middle)], SOFT, 1.5, arrow))
    note = (
        f"{layout.total_units} rows in each table; a row is one unit's weights to and from the "
        "latents"
    )
    parts.append(words(320, 412, note, 13, "middle", SOFT))
    return drawing(430, "Units of every animal have rows of their own; all else is shared", parts)


def made_up_unit() -> tuple[np.ndarray, np.ndarray]:
    """(rate in spikes per bin [T], counts [T]): a spike wherever the summed rate passes a whole."""
    time = np.arange(100) / 100
    rate = 0.03 + 0.5 * np.exp(-0.5 * ((time - 0.3) / 0.05) ** 2)
    rate += 0.35 * np.exp(-0.5 * ((time - 0.72) / 0.07) ** 2)
    return rate, np.diff(np.floor(np.cumsum(rate) + 0.5), prepend=0).astype(np.int64)


def bits_per_spike() -> str:
    """Three guesses at one unit's rate and what each scores, by `scores.metrics`."""
    from neurojax.scores.metrics import bits_per_spike as score

    rate, counts = made_up_unit()
    mean = np.full_like(rate, counts.mean())
    guesses = {
        "its mean rate: the null": mean,
        "its rate": rate,
        "its rate, a fifth of the trial too late": np.roll(rate, 20),
    }
    left, width, parts = 40, 560, []
    for number, (name, guess) in enumerate(guesses.items()):
        top, height = 46 + number * 132, 62
        (value,) = score(guess[None, :, None], counts[None, :, None])
        sign = f"{value:+.2f}".replace("-", "\u2212") if abs(value) > 5e-3 else "0"
        colour = ANIMALS[1] if value > 5e-3 else (SOFT if sign == "0" else ASKED)
        parts.append(words(left, top - 12, f"Guess: {name}", 15))
        parts.append(words(left + width, top - 12, f"{sign} bits/spike", 16, "end", colour, True))
        step = width / len(guess)
        spots = [
            (left + (bin_ + 0.5) * step, top + height - height * value_ / 0.6)
            for bin_, value_ in enumerate(guess)
        ]
        parts.append(line(spots, colour, 2.5))
        for bin_ in np.flatnonzero(counts):
            x = left + (bin_ + 0.5) * step
            parts.append(line([(x, top + height + 6), (x, top + height + 20)], INK, 1.5))
        parts.append(line([(left, top + height), (left + width, top + height)], EDGE, 1))
    parts.append(words(left, 432, "black: the spikes of the unit in a test trial", 13, fill=SOFT))
    return drawing(448, "What three guesses at a unit's rate score in bits per spike", parts)


DIAGRAMS: dict[str, Callable[[], str]] = {
    "masking": masking,
    "stitching": stitching,
    "tasks": tasks,
    "bits_per_spike": bits_per_spike,
}


if __name__ == "__main__":
    for diagram, draw in DIAGRAMS.items():
        (FOLDER / f"{diagram}.svg").write_text(draw())
