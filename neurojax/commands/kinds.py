"""What each kind of recording takes on the command line: `convert KIND --help` and
`convert --guess PATH`."""

import difflib
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from neurojax.commands import convert_stimuli, convert_text
from neurojax.data.readers.recognise import Guess, guesses
from neurojax.data.readers.registry import MODULES, reader_of
from neurojax.data.readers.seen import seen
from neurojax.errors import InputError, printable
from neurojax.files import require_text

# One command a kind, as people type it; a reader's own EXAMPLE goes before.
EXAMPLES = {
    "arrays": "arrays day1.npz day2.npz --out=data/mine --bin_ms=20",
    "brainwide": "brainwide eval --out=data/bwb --align=trials.stim_on_time --window=-0.5,1.5",
    "emg": "emg people --out=data/emg --options=window_ms=260,step_ms=50",
    "ibl": "ibl lab/Subjects --out=data/ibl --options=regions=allen,units=good",
    "mat": "mat day1.mat --out=data/mine --options=spikes=session.trains --window_s=2",
    "nlb": "nlb mc_maze_train.nwb --out=data/maze --options=as_test=val",
    "nwb": "nwb day1.nwb --out=data/mine --align=go_time --window=-0.5,1.5 --behavior=hand_pos",
    "phy": "phy day1/kilosort4 --out=data/mine --window_s=2 --options=groups=good",
    "synthetic": "synthetic --out=data/synthetic",
}
WHOLE = {"stimuli": convert_stimuli, "text": convert_text}  # that make all of a folder at once
_WIDTH = 78
_WHERE_TO_LOOK = (
    "give its spike times to nj.Session.from_spike_times (docs/your_data.md), or save arrays as "
    "`neurojax convert arrays --help` says"
)


def example(kind: str) -> str:
    """A command that converts a recording of a kind."""
    if kind in WHOLE:
        return f"neurojax convert {WHOLE[kind].EXAMPLE}"
    own = None if kind == "synthetic" else getattr(reader_of(kind), "EXAMPLE", None)
    return f"neurojax convert {own or EXAMPLES.get(kind, f'{kind} PATH --out=data/mine')}"


def help_of(words: Sequence[str]) -> str:
    """Help of the kind that is named among the words after `convert`, or the list of kinds."""
    known = [*sorted(MODULES), "stimuli", "synthetic", "text"]
    kind = next((word for word in words if word in known), None)
    if kind is None:
        return "\n".join(["kinds, each with help of its own:", *(f"  {example(k)}" for k in known)])
    if kind == "synthetic":
        return f"synthetic: made-up animals with known rates; no PATH\nexample:\n  {example(kind)}"
    reader = WHOLE[kind] if kind in WHOLE else reader_of(kind)
    about = " ".join((reader.__doc__ or "").split("\n\n")[0].split())
    lines = [f"{kind}: {about}", ""]
    lines += [f"options of {kind} (--options=NAME=VALUE,...):"] if reader.OPTIONS else []
    wide = max(map(len, reader.OPTIONS), default=0) + 4
    for name, text in reader.OPTIONS.items():
        lines += textwrap.wrap(
            f"  {name:{wide - 2}}{text}",
            _WIDTH,
            subsequent_indent=" " * wide,
            break_on_hyphens=False,
        )
    if unused := [name for name in getattr(reader, "UNUSED", ()) if name != "window_from_s"]:
        lines += ["", f"not for {kind}: {', '.join(f'--{name}' for name in unused)}"]
    return "\n".join([*lines, "", "example:", f"  {example(kind)}"])


def print_guesses(paths: Sequence[str | Path]) -> None:
    """Prints of each path what it seems to be and the command to type.

    Raises:
        InputError: a path is of no kind that is known; the message says what was seen.
    """
    unknown = []
    for path in map(str, paths):
        require_text(path, "the path")  # no command could be shown
        found = guesses(path)
        if not found:
            unknown.append(f"{path}: {seen(path)}{_near(path)}; {_WHERE_TO_LOOK}")
            continue
        first, *others = found
        print(printable(f"{path}: {first.kind}: {first.why}"))
        print(f"  {printable(command(first))}")
        for other in others:
            print(f"  {printable(f'or {command(other)} ({other.why})')}")
    if unknown:
        for line in unknown[1:]:
            print(printable(line))
        raise InputError(f"no kind is known for {unknown[0]}")


def command(guess: Guess) -> str:
    """The command to type."""
    words = ["neurojax", "convert", guess.kind, *guess.paths, "--out=data/mine", *guess.options]
    return " ".join(map(shlex.quote, words))


def _near(path: str) -> str:
    """A name beside a path that is not there, if one is close."""
    place = Path(path)
    if place.exists() or not place.parent.is_dir():
        return ""
    names = [entry.name for entry in place.parent.iterdir()][:1000]
    close = difflib.get_close_matches(place.name, names, 1)
    return f" (did you mean {place.with_name(close[0])}?)" if close else ""
