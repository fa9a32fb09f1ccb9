"""What licences of recordings ask of weights trained on them, as far as their names say it.

A cautious reading and no legal advice: weights are taken for a derivative of the data.

    NC   not for profit: so must the weights be
    ND   nothing derived may be shared
    SA   what is derived is shared under the same licence (also the GPL and the ODbL)
    closed   nothing may be shared
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from neurojax.errors import require

NOT_STATED = frozenset({"", "unknown", "none", "n/a", "na", "null", "not stated", "unspecified"})
_MEANT = {
    "NC": r"\bnc\b|non ?commercial|not for profit|academic use only|research only",
    "ND": r"\bnd\b|no ?deriv",
    "SA": r"\bsa\b|share ?alike|\ba?gpl|general public licen|copyleft|odbl|open database licen",
    "closed": r"all rights reserved|proprietary|confidential|do not (share|redistribute)|"
    r"no redistribution",
}
_FAMILY = {
    "gpl": r"\ba?l?gpl|general public licen",
    "odbl": r"odbl|open database licen",
    "cc": r"\bcc\b|creative commons",
}


def is_stated(licence: Any) -> bool:
    """Whether a licence says anything."""
    return str(licence or "").strip().lower() not in NOT_STATED


def terms(licence: Any) -> frozenset[str]:
    """Names of the conditions above that a licence's name has."""
    text = _plain(licence)
    return frozenset(name for name, words in _MEANT.items() if re.search(words, text))


def contradiction(weights_licence: str | None, data_licence: Any) -> str:
    """Why weights may not be shared under a licence, "" where nothing speaks against it.

    Args:
        weights_licence: None where none is stated: nothing is promised then but by closed data.
        data_licence: of recordings trained on.
    """
    asked, given = terms(data_licence), terms(weights_licence)
    if "closed" in asked:
        return "lets nothing be shared"
    if not is_stated(weights_licence):
        return ""
    if "ND" in asked:
        return "lets nothing that is derived be shared"
    if "NC" in asked and "NC" not in given:
        return "is not for profit, the other does not say so"
    if "SA" in asked and (
        "SA" not in given or not _families(data_licence) & _families(weights_licence)
    ):
        return "asks for the same licence"
    return ""


def require_agreement(weights_licence: str | None, entries: Iterable[Mapping[str, Any]]) -> None:
    """Raises InputError where the licence of weights contradicts that of a recording they were
    trained on.

    Args:
        weights_licence: as the user states it, None where none is.
        entries: of a roster: "session_id" and "licence".
    """
    for entry in entries:
        why = contradiction(weights_licence, entry.get("licence"))
        told = f"--licence={weights_licence}" if is_stated(weights_licence) else "an export"
        require(
            not why,
            f"{told} contradicts the licence of session {entry['session_id']}, "
            f"{str(entry.get('licence'))[:80]!r}, which {why}; state another licence, or train "
            "without that recording",
        )


def asked_of_weights(licences: Iterable[Any]) -> str:
    """What recordings ask of the weights in words, for a card."""
    found = sorted(set().union(*(terms(one) for one in licences), frozenset()))
    words = {
        "NC": "no use for profit",
        "ND": "nothing derived to be shared",
        "SA": "the same licence for what is derived",
        "closed": "nothing to be shared",
    }
    return ", ".join(words[name] for name in found) or "nothing but what their licences say"


def _families(licence: Any) -> set[str]:
    text = _plain(licence)
    return {name for name, words in _FAMILY.items() if re.search(words, text)}


def _plain(licence: Any) -> str:
    return re.sub(r"[^a-z0-9]+", " ", str(licence or "").lower()).strip()
