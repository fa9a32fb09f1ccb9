"""An audit for readers: rows of the terminal, the part of a report's page, and lines of a card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.data.store import cards
from neurojax.evals.audits.audit import LABELS
from neurojax.evals.tables import align
from neurojax.files import write_bytes
from neurojax.report import page

START, END = "<!-- audit -->", "<!-- end of audit -->"
COMMAND = "neurojax audit --workdir=RUN"


def number(value: Any) -> str:
    """A value of an item, a dash for none."""
    return "-" if value is None else f"{value:.3g}"


def rows(record: Mapping[str, Any]) -> list[list[str]]:
    """A row an item: what was asked, value, null, p after Holm, and what it says."""
    found = []
    for name, item in record["items"].items():
        told = f"ALARM{_which(item)}" if item["alarm"] else item.get("reason") or "no alarm"
        p_holm = number(item["p_holm"])
        found.append([LABELS[name], number(item["value"]), number(item["null"]), p_holm, told])
    return found


def terminal(record: Mapping[str, Any]) -> str:
    """Aligned plain text."""
    head = ["audit", "value", "null", "p, Holm", ""]
    return "\n".join([*align([head, *rows(record)]), sentence(record)])


def sentence(record: Mapping[str, Any]) -> str:
    """One sentence: how many items were asked, and which alarm."""
    asked = [item for item in record["items"].values() if item["value"] is not None]
    alarms = [LABELS[name].lower() for name in record["alarms"]]
    told = f"{len(alarms)} alarm: {', '.join(alarms)}" if alarms else "no alarm"
    many = f"{len(asked)} of {len(record['items'])} items answered"
    return f"Audit of {record['num_items']:,} test items: {many}, {told}."


def block(record: Mapping[str, Any]) -> str:
    """The part of a page, between two marks by which it is found again."""
    marked = [k for k, item in enumerate(record["items"].values()) if item["alarm"]]
    heads = ["", "value", "null", "p, Holm", ""]
    table = page.table(heads, rows(record), marked=marked)
    meant = [[LABELS[name], item["words"]] for name, item in record["items"].items()]
    groups = [
        [LABELS[name], label, number(one["score"]), one["items"], one.get("units", "-")]
        for name, item in record["items"].items()
        for label, one in sorted(item.get("groups", {}).items(), key=lambda pair: pair[1]["score"])[
            :40
        ]
    ]
    parts = [
        page.heading("Audit"),
        page.paragraph(sentence(record)),
        table,
        page.folded("What each item is", page.table(["", ""], meant, wrap=True)),
    ]
    if groups:
        heads = ["", "group", "mean score", "items", "people or recordings"]
        parts.append(page.folded("Groups, the worst first", page.table(heads, groups)))
    parts.append(page.paragraph(f"{record['bounds']}. Step {record['step']}.", soft=True))
    return "\n".join([START, *parts, END])


def write_page(path: Path, record: Mapping[str, Any]) -> None:
    """A page of the audit alone."""
    write_bytes(path, page.page("Audit", block(record)).encode())


def put_into(path: Path, record: Mapping[str, Any]) -> bool:
    """Puts the audit into a report's page, in the place of an earlier one; False without a page."""
    if not path.is_file():
        return False
    text = path.read_text()
    if START in text and END in text:
        text = text[: text.index(START)] + text[text.index(END) + len(END) + 1 :]
    head, mark, tail = text.rpartition("</body>")
    if not mark:
        return False
    write_bytes(path, f"{head}{block(record)}\n{mark}{tail}".encode())
    return True


def card_lines(record: Mapping[str, Any] | None, step: int) -> list[str]:
    """The first lines of a model card: what was audited, or that nothing was."""
    if record is None:
        return [f"**Not audited.** `{COMMAND}` asks what the scores rest on."]
    if record["step"] != step:
        told = f"The audit is of step {record['step']:,}, these weights of step {step:,}"
        return [f"**Not audited.** {told}; run `{COMMAND}` again."]
    named = [
        f"{LABELS[name]} {number(item['value'])} (null {number(item['null'])}; "
        f"{cards.text(item['words'])})"
        for name, item in record["items"].items()
        if item["alarm"]
    ]
    return [f"**{sentence(record)}**", *(f"- {line}" for line in named)]


def _which(item: Mapping[str, Any]) -> str:
    for name in ("which", "worst"):
        if item.get(name):
            return f": {item[name]}"
    return ""
