"""What a reader of a page sees before opening anything."""

import re


def opening(source: str) -> list[str]:
    """ "picture" and "table" in the order in which they stand outside folded parts; pictures of a narrow screen left
    out."""
    seen = re.sub(r'<div class="on_phone">.*?</figure></div>', "", source, flags=re.DOTALL)
    depth, found = 0, []
    for tag in re.findall(r"<(/?details|img|table)\b", seen):
        depth += {"details": 1, "/details": -1}.get(tag, 0)
        if tag in ("img", "table") and depth == 0:
            found.append("picture" if tag == "img" else "table")
    assert depth == 0
    return found
