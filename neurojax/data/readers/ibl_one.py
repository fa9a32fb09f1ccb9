"""The only place that speaks to the International Brain Laboratory's archive, through ONE, while
converting."""

import contextlib
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neurojax.data.optional import needed
from neurojax.data.readers.alf_files import AlfFile, parse_alf
from neurojax.errors import InputError, require

REPEATED_SITE = "repeated_site"
_EID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_MAX_LIST_BYTES = 2**20
_SET_UP = (
    'set it up once with `python -c "from one.api import ONE; '
    "ONE.setup(base_url='https://openalyx.internationalbrainlab.org')\"`, or give ALF folders"
)
# Attributes worth fetching; raw waveforms and videos are many gigabytes.
_ATTRIBUTES = {
    "spikes": ("times", "clusters"),
    "clusters": ("channels", "depths", "metrics"),
    "channels": ("brainLocationIds_ccf_2017", "mlapdv", "localCoordinates"),
    "electrodeSites": ("brainLocationIds_ccf_2017", "mlapdv", "localCoordinates"),
    "wheel": ("timestamps", "position"),
    "leftCamera": ("times", "ROIMotionEnergy"),
    "rightCamera": ("times", "ROIMotionEnergy"),
}


def is_eid(source: str) -> bool:
    """Whether a text is a session id, a UUID."""
    return _EID.fullmatch(source) is not None


def read_eids(path: Path) -> list[str]:
    """Session ids of a text file, one a line; what follows a # is a remark.

    Raises:
        InputError: not text, too large, empty, or a line that is no id.
    """
    require(
        path.stat().st_size <= _MAX_LIST_BYTES,
        f"{path} has {path.stat().st_size} bytes, expected a list of session ids, one a line",
    )
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{path} is not text, expected a list of session ids, one a line"
        ) from None
    eids = [line.lower() for line in lines if line]
    if wrong := [eid for eid in eids if not is_eid(eid)]:
        raise InputError(
            f"{path} holds {wrong[0][:60]!r}, expected session ids (UUIDs), one a line"
        )
    require(eids, f"{path} names no session; expected session ids, one a line")
    return list(dict.fromkeys(eids))


def connect() -> Any:
    """The archive as the user has set it up for ONE (`ONE.setup`); its cache folder is ONE's own.

    Raises:
        InputError: ONE is not installed, or has not been set up.
    """
    package = needed(
        "one.api",
        'session ids are fetched through ONE; install it with `pip install "neurojax[ibl]"`, or '
        "give ALF folders",
    )
    with _told("ONE cannot connect", _SET_UP):
        return package.ONE(silent=True)


@contextlib.contextmanager
def _told(what: str, remedy: str = "try again") -> Iterator[None]:
    """Whatever the client or the network raises (no account, a damaged cache: a dozen kinds of
    error) becomes an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(f"{what} ({reason}); {remedy}") from None


def fetch(eid: str, objects: Sequence[str]) -> Path:
    """Fetches what is not in ONE's cache yet of a session, every revision, and returns its folder.

    Raises:
        InputError: ONE does not know the session or cannot fetch a file.
    """
    one = connect()
    with _told(f"session {eid} cannot be fetched through ONE"):
        parsed = map(parse_alf, map(str, one.list_datasets(eid)))
        wanted = [file for file in parsed if file and _is_wanted(file, objects)]
        require(wanted, f"session {eid} has no spikes or trials that ONE knows; check the id")
        with warnings.catch_warnings():  # the client's remarks on checksums and default revisions
            warnings.simplefilter("ignore")
            for file in wanted:
                place = {"collection": file.collection, "revision": file.revision or None}
                one.load_dataset(eid, file.path.name, **place, download_only=True)
        return Path(one.eid2path(eid))


def repeated_site_sessions() -> list[str]:
    """Sessions that the rule of the repeated-site set selects, by id.

    Raises:
        InputError: ONE cannot be asked, or nothing fulfils the rule.
    """
    rule = json.loads(Path(__file__).with_name("ibl_repeated_site.json").read_text())
    one = connect()
    with _told("ONE cannot list the repeated-site sessions"):
        insertions = one.search_insertions(django=rule["insertions"], query_type="remote")
        eids = sorted({str(one.pid2eid(pid)[0]) for pid in insertions})
        datasets = {eid: [str(name) for name in one.list_datasets(eid)] for eid in eids}
    chosen = [eid for eid in eids if _fulfils(rule, datasets[eid])]
    require(
        chosen,
        f"none of {len(eids)} sessions with the tag {rule['release_tag']} has spikes and trials",
    )
    return chosen


def _fulfils(rule: dict[str, Any], datasets: list[str]) -> bool:
    files = [file for file in map(parse_alf, datasets) if file]
    have = {f"{file.object}.{file.attribute}" for file in files}
    trials = {file.attribute for file in files if file.object == "trials"}
    return set(rule["required_datasets"]) <= have and bool(set(rule["required_trials"]) & trials)


def _is_wanted(file: AlfFile, objects: Sequence[str]) -> bool:
    in_place = file.collection == "alf" or file.collection.startswith("alf/")
    return (
        in_place
        and file.object in objects
        and file.attribute in _ATTRIBUTES.get(file.object, (file.attribute,))
    )
