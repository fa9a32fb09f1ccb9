"""A self-contained HTML page out of headings, paragraphs, tables and PNGs; every text is escaped
here.

No scripts, no requests: inline CSS that follows the reader's light or dark setting, down to the
width of a phone.
"""

import base64
import html
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

NO_MATPLOTLIB = (
    'figures need matplotlib: pip install "neurojax[viz]", then run `neurojax evaluate` again'
)
_CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --back: #ffffff; --card: #f6f8fa; --mark: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --line: #39424d;
  --back: #0f141a; --card: #1a2129; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 70rem; color: var(--ink);
  background: var(--back); overflow-wrap: break-word;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: .4rem 0 1rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
.caption { margin: .8rem 0 .2rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--back); }
thead th { border-bottom: 2px solid var(--soft); }
tr.mark td { color: var(--mark); font-weight: 600; }
td b { color: inherit; border-bottom: 2px solid var(--mark); font-weight: 600; }
.wrap td, .wrap th { white-space: normal; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; min-width: 6rem; }
h1 + p { max-width: none; }
figure { margin: 1rem 0 1.4rem; max-width: 52rem; }
figure.wide { max-width: none; }
.on_phone { display: none; }
figure img { display: block; width: 100%; height: auto; background: #fff; border-radius: 6px;
  border: 1px solid var(--line); }
figure.wide .scroll img { min-width: 44rem; }
.grid { display: grid; gap: 0 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  align-items: start; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .7rem .9rem; overflow-x: auto;
  font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
details { border-top: 1px solid var(--line); }
details:last-of-type { border-bottom: 1px solid var(--line); }
details details { margin-left: 1rem; }
details details:last-of-type { border-bottom: 0; }
details[open] { padding-bottom: 1rem; }
summary { cursor: pointer; font-weight: 600; padding: .7rem .2rem; overflow-wrap: anywhere; }
summary:hover { color: var(--mark); }
summary:focus-visible { outline: 2px solid var(--mark); }
@media (max-width: 600px) { td, th { white-space: normal; padding-right: .5rem; }
  table { font-size: .8rem; }
  .nums td, .nums th { overflow-wrap: normal; }
  .on_desk { display: none; } .on_phone { display: block; } }
@media print { details::details-content { content-visibility: visible; display: contents; }
  body { max-width: none; } }
"""


def text(content: object) -> str:
    """Any value as escaped text."""
    return html.escape(str(content), quote=True)


def heading(content: str, level: int = 2) -> str:
    return f"<h{level}>{text(content)}</h{level}>"


def paragraph(content: str, soft: bool = False) -> str:
    return f"<p{' class=soft' if soft else ''}>{text(content)}</p>"


def code(content: str) -> str:
    return f"<pre>{text(content)}</pre>"


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    caption: str = "",
    marked: Collection[int] = (),
    strong: Collection[tuple[int, int]] = (),
    wrap: bool = False,
) -> str:
    """A table that scrolls sideways where it is wider than the screen; its first column stays in
    view.

    Args:
        headers: column heads.
        rows: cells, any values.
        caption: what the table shows, with units.
        marked: rows set off in colour.
        strong: (row, column) of cells that are underlined.
        wrap: True for tables of words rather than numbers.
    """
    parts = [f'<p class="soft caption">{text(caption)}</p>'] if caption else []
    parts.append(f"<div class=scroll><table class={'wrap' if wrap else 'nums'}>")
    parts.append(
        "<thead><tr>"
        + "".join(f"<th>{text(head)}</th>" for head in headers)
        + "</tr></thead><tbody>"
    )
    for index, row in enumerate(rows):
        cells = [
            f"<td><b>{text(cell)}</b></td>"
            if (index, column) in strong
            else f"<td>{text(cell)}</td>"
            for column, cell in enumerate(row)
        ]
        parts.append(f"<tr{' class=mark' if index in marked else ''}>{''.join(cells)}</tr>")
    return "".join([*parts, "</tbody></table></div>"])


def picture(png: bytes, caption: str, *, wide: bool = False) -> str:
    """A PNG inside the page; a wide one keeps a readable size on a phone and scrolls sideways."""
    source = base64.b64encode(png).decode()
    image = (
        f'<div class=scroll><img alt="{text(caption)}" src="data:image/png;base64,{source}"></div>'
    )
    opening = f"<figure{' class=wide' if wide else ''}>"
    return f"{opening}{image}<figcaption>{text(caption)}</figcaption></figure>"


def folded(summary: str, *content: str, is_open: bool = False) -> str:
    """Content (HTML) under a line that opens and closes it."""
    opening = f"<details{' open' if is_open else ''}><summary>{text(summary)}</summary>"
    return f"{opening}{''.join(content)}</details>"


def by_width(desk: Sequence[str], phone: Sequence[str]) -> str:
    """One of two versions: `desk` on a screen with room, `phone` on one of at most 600 px."""
    versions = (("on_desk", desk), ("on_phone", phone))
    return "".join(f'<div class="{name}">{"".join(blocks)}</div>' for name, blocks in versions)


def grid(*content: str) -> str:
    """Blocks side by side where there is room."""
    return f'<div class="grid">{"".join(content)}</div>'


def of_run(evaluation: Mapping[str, Any], config: Path) -> str:
    """Folded: seed and step of a record, and the content of config.json where that is a file."""
    facts = f"seed {evaluation.get('seed')}, step {evaluation.get('step')}"
    words = [code(config.read_text(errors="replace"))] if config.is_file() else []
    return folded("Run", paragraph(facts, soft=True), *words)


def page(title: str, *content: str) -> str:
    """The whole document from HTML blocks."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>",
            *content,
            "</body>\n</html>\n",
        ]
    )
