"""What a session is called: by its reader, by a template from its path, or by the folders above
recordings that would share a name."""

import collections
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require

GRAMMAR = (
    "{name} (what the kind calls it), {stem} (of the file or folder), {parent} (the folder above), "
    "{parent2} (the one above that), {0}, {1} (parts of the path as typed)"
)
_FIELD = re.compile(r"\{([^{}]*)\}")
_MAX_NAME = 128

Named = list[tuple[str, str]]  # (session id, source)


def named(found: Sequence[tuple[str, str]], session_id: str | None) -> tuple[Named, list[str]]:
    """Recordings under names that differ.

    Args:
        found: (name of its reader, source) of each recording; a source that comes twice is one.
        session_id: a name, or a template with the fields of GRAMMAR; None: the readers' names, and
            where several recordings share one, the folder that tells them apart in front of it.

    Returns:
        (session id, source) of each, in the order given, and lines that say what was renamed.

    Raises:
        InputError: an unknown field, or names that do not differ.
    """
    once: dict[str, tuple[str, str]] = {}
    for name, source in found:
        once.setdefault(_place(source), (name, source))
    recordings = list(once.values())
    if session_id is not None:
        recordings = [(filled(session_id, *recording), recording[1]) for recording in recordings]
        _require_apart(recordings, f"session_id={session_id!r} gives", "with a field that differs")
        return recordings, []
    recordings, told = _told_apart(recordings)
    _require_apart(recordings, "the folders give", "with --session_id='{parent2}_{parent}_{stem}'")
    return recordings, told


def filled(template: str, name: str, source: str) -> str:
    """The session id that a template gives for a recording; signs that no id has become `_`."""
    above, typed = _folders(source), _parts(source)
    fields = {"name": name, "stem": _stem(source)}
    fields |= {"parent" if n == 1 else f"parent{n}": part for n, part in enumerate(above, 1)}
    fields |= {str(place): part for place, part in enumerate(typed)}
    literal = _FIELD.sub("", template)
    require(
        "{" not in literal and "}" not in literal,
        f"session_id={template!r} has a brace too many; fields are {GRAMMAR}",
    )
    for field in _FIELD.findall(template):
        known = re.fullmatch(r"name|stem|parent[0-9]{0,3}|[0-9]{1,3}", field)
        require(known, f"session_id={template!r} has no field {field!r}; take {GRAMMAR}")
        require(
            field in fields,
            f"session_id={template!r}: {source} has {len(above)} folders above it and "
            f"{len(typed)} parts as typed, so there is no {{{field}}}",
        )
    return check_session_id(_as_id(_FIELD.sub(lambda match: fields[match[1]], template)))


def joined_name(sources: Sequence[str], session_id: str | None) -> str:
    """What the session of several parts is called: `session_id` (of the first part, where it is a
    template), or the innermost folder that holds them all."""
    if session_id is not None:
        return filled(session_id, _as_id(_stem(sources[0])), sources[0])
    levels = zip(*[_folders(source)[::-1] for source in sources], strict=False)
    shared = [*itertools.takewhile(lambda level: len(set(level)) == 1, levels)]
    require(
        shared,
        "the parts to join lie in no common folder to name them after; give --session_id=NAME",
    )
    return check_session_id(_as_id(shared[-1][0]))


def part_names(sources: Sequence[str]) -> list[str]:
    """Names of parts that become one session: their own, else the folders that tell them apart."""
    stems = [_as_id(_stem(source)) for source in sources]
    if len(set(stems)) == len(stems):
        return stems
    return [_as_id(front) for front in _fronts(sources)]


def _told_apart(recordings: Named) -> tuple[Named, list[str]]:
    sharing: dict[str, list[str]] = collections.defaultdict(list)
    for name, source in recordings:
        sharing[name].append(source)
    renamed, told = {}, []
    for name, sources in sharing.items():
        if len(sources) == 1:
            continue
        stems = [_stem(source) for source in sources]
        fronts = _fronts(sources)
        if len(set(fronts)) == len(sources) or len(set(stems)) < len(sources):
            renamed |= {s: _as_id(f"{f}_{name}") for s, f in zip(sources, fronts, strict=True)}
        else:  # probes in one folder
            renamed |= {s: _as_id(f"{name}_{own}") for s, own in zip(sources, stems, strict=True)}
        shown = ", ".join(renamed[source] for source in sources[:4])
        told.append(
            f"{len(sources)} recordings are called {name}: named by their folders, {shown}"
            f"{' ...' if len(sources) > 4 else ''} (--session_id names them otherwise)"
        )
    return [(renamed.get(source, name), source) for name, source in recordings], told


def _fronts(sources: Sequence[str]) -> list[str]:
    """The folder nearest to each recording that tells all of them apart; several of them where one
    is not enough."""
    above = [_folders(source) for source in sources]
    nearest = [slice(level, level + 1) for level in range(min(map(len, above)))]
    for part in (*nearest, *(slice(level) for level in range(1, max(map(len, above)) + 1))):
        if len({tuple(folders[part]) for folders in above}) == len(sources):
            return ["_".join(folders[part][::-1]) for folders in above]
    return ["" for _ in sources]


def _require_apart(recordings: Named, what: str, remedy: str) -> None:
    first: dict[str, str] = {}
    for name, source in recordings:
        require(
            first.setdefault(name, source) is source,
            f"{first[name]} and {source}: {what} the name {name!r} to both; tell them apart "
            f"{remedy} ({GRAMMAR})",
        )


def _is_url(source: str) -> bool:
    return "://" in source


def _place(source: str) -> str:
    """Equal for sources that are one file."""
    return source if _is_url(source) else os.path.realpath(source)


def _parts(source: str) -> list[str]:
    """Parts of a path as typed, or of an address, host first."""
    if _is_url(source):
        address = urlsplit(source)
        return [address.netloc, *[part for part in address.path.split("/") if part]]
    return [part for part in Path(source).parts if part.strip("/\\.")]


def _folders(source: str) -> list[str]:
    """Names of the folders above a recording, the nearest first."""
    absolute = _parts(source) if _is_url(source) else _parts(str(Path(source).absolute()))
    return absolute[-2::-1]


def _stem(source: str) -> str:
    last = (_parts(source) or [source])[-1]
    is_folder = not _is_url(source) and Path(source).is_dir()
    return last if is_folder else PurePosixPath(last).stem


def _as_id(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip("._-")[:_MAX_NAME] or text
