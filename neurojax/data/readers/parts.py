"""Optional parts of a recording: a bad one is left out and told, and never takes the rest along."""

from collections.abc import Collection, Mapping

from neurojax.data.checks.findings import LEFT_OUT, PART_LEFT_OUT
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

_MAX_SAID = 300
BEHAVIOUR, PART = LEFT_OUT, PART_LEFT_OUT


def leave_out(
    findings: dict[str, int],
    kind: str,
    what: str,
    error: InputError,
    spec: ReadSpec,
    where: str,
) -> None:
    """Counts a part that cannot be read in `findings`, with the reason; with `spec.strict` the
    error is raised.

    Args:
        findings: for `info["findings"]`.
        kind: BEHAVIOUR or PART.
        what: of the recording, "wheel".
        error: why it cannot be read.
        spec: its `strict` decides.
        where: the recording, whose place is left out of the reason: it may be read elsewhere.
    """
    if spec.strict:
        raise error
    said = str(error)
    for place in (f"{where}: ", f"{where}, ", f"{where}/", where):
        said = said.replace(place, "")
    said = said if said.startswith(what) else f"{what}: {said}"
    name = f"{kind} ({said[:_MAX_SAID]})"
    findings[name] = findings.get(name, 0) + 1


def usual_rows(rows: Mapping[str, int], needed: Collection[str] = (), least: int = 0) -> int:
    """The number of rows that most columns of a table have: columns with others are not right.

    Args:
        rows: name of a column -> its rows.
        needed: of two numbers that equally many columns have, that of these counts.
        least: fewer cannot be.
    """
    votes: dict[int, float] = {}
    for name, number in rows.items():
        votes[number] = votes.get(number, 0) + (1.5 if name in needed else 1)
    return max(votes, key=lambda number: (number >= least, votes[number], number), default=0)
