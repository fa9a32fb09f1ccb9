"""One spelling for each brain region: labels that differ in case, blanks, hyphens or underscores
alone are one region.

"CA1", "ca1", "CA1 " and "CA-1" are one region; VISp1 and VISp2/3 are not, nor are areas 1-2 and 12.
A session is brought to one spelling when it is built; sessions meet by `region_key`, so that labels
on disk stay as they are.
"""

import functools
import importlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from neurojax.data.session import names_a_region

_SEPARATOR = r"[\s_\u2010-\u2014-]"
# Between two digits a separator tells (Brodmann areas 1-2 and 12), and so does one at the end
# (PV+ and PV-).
_BETWEEN_DIGITS = re.compile(rf"(?<=\d){_SEPARATOR}+(?=\d)")
_IGNORED = re.compile(
    rf"(?<!\d){_SEPARATOR}+(?=\w)|{_SEPARATOR}+(?=[^\W\d_]|[^\w\s\u2010-\u2014-])"
)
_BLANKS = re.compile(r"\s+")
# Structures of the Allen atlas that differ in case alone: median and medial.
_OWN_CASE = frozenset({"CM", "cm", "IPF", "ipf"})
_LEAST_NAME = 6  # characters of a full name with blanks: "Field CA1"


def region_key(label: str) -> str:
    """What all spellings of a region have in common; equal keys are one region."""
    text = unicodedata.normalize("NFC", _BLANKS.sub(" ", str(label)).strip())
    bare = _IGNORED.sub("", _BETWEEN_DIGITS.sub("-", text))
    return bare if bare in _OWN_CASE else bare.casefold()


def one_spelling(
    labels: Sequence[str] | np.ndarray, known: Iterable[str] = (), atlas: bool = False
) -> tuple[np.ndarray, dict[str, str]]:
    """Labels of regions in one spelling each.

    Args:
        labels: str [n]; labels that name no region stay as they are.
        known: spellings that are taken where they fit, those of a run; without them the commonest
            is, of several the shortest, of these the first in the alphabet.
        atlas: where a session is built: acronyms of the Allen atlas are taken for several spellings
            and for full names where iblatlas is installed, and blanks at the ends go. Without it
            only spellings that meet others change.

    Returns:
        str [n], and the mapping, spelling that came -> spelling that is taken, of those that
        changed.
    """
    given = np.asarray(labels, dtype=str)
    counted = Counter(label for label in given.tolist() if names_a_region(label))
    taken = {region_key(label): label for label in sorted(set(known)) if names_a_region(label)}
    spellings: dict[str, list[str]] = {}
    for label in counted:
        spellings.setdefault(region_key(label), []).append(label)
    mapping = {}
    for key, different in spellings.items():
        chosen = taken.get(key) or _chosen(key, different, counted, atlas)
        mapping |= {label: chosen for label in different if label != chosen}
    if not mapping:
        return given, {}
    return np.array([mapping.get(label, label) for label in given.tolist()], dtype=str), mapping


def _chosen(key: str, different: Sequence[str], counted: Mapping[str, int], atlas: bool) -> str:
    """The spelling that is taken of several."""
    if len(different) == 1 and not atlas:
        return different[0]
    tidy = {_BLANKS.sub(" ", label).strip(): counted[label] for label in sorted(different)}
    commonest = max(tidy, key=lambda label: (tidy[label], -len(label)))
    full_name = " " in commonest and len(commonest) >= _LEAST_NAME
    if not atlas or (len(different) == 1 and not full_name):
        return commonest
    return _atlas().get(key, commonest)


@functools.cache
def _atlas() -> dict[str, str]:
    """Key -> acronym of the Allen atlas, of its acronyms and full names; empty without iblatlas."""
    try:
        regions = importlib.import_module("iblatlas.regions").BrainRegions()
    except (ImportError, OSError):
        return {}
    acronyms = [str(acronym) for acronym in regions.acronym]
    found = {region_key(str(name)): a for name, a in zip(regions.name, acronyms, strict=True)}
    return found | {region_key(acronym): acronym for acronym in acronyms}
