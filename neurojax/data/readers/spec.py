"""What a user asks of a reader, in one record whose digest says whether a session is up to date."""

import dataclasses
import hashlib
import json
import math

from neurojax.data.clock import TimeUnit
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require

DEFAULT_BIN_SIZE_S = 0.02  # spike times without --bin_ms


def as_number(text: str) -> float:
    """The number that a text says; NaN where it says none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclasses.dataclass(frozen=True)
class ReadSpec:
    """Options of `neurojax convert` that change the content of a session.

    Attributes:
        bin_ms: width of the bins to make; None keeps the file's own (20 ms for spike times).
        align: name of the array of event times [trials], seconds; spike times are cut around it.
        window: seconds before (negative) and after the event.
        window_s: length of the windows that a recording without trials is cut into.
        behavior: arrays that are behaviour, where the shape does not say so.
        trial_columns: arrays with one value a trial, where the shape does not say so.
        split: "file" (random when the file has none), "random" or "blocks:<seconds>s". Trials
            that share time are not drawn at random, and those of blocks that reach into another
            split are left out.
        time_unit: what one of the file's times is, see `clock.TimeUnit`; None: seconds, and a clock
            that cannot be in seconds is asked about.
        max_gap_s: samples of behaviour further apart leave the bins between them unknown; None: see
            `signals.usual_gap_s`.
        silence: "unobserved" takes stretches in which a whole population is silent against all odds
            as gaps of the recording, see `observed.heard`; "keep" takes them as silence.
        strict: refuse a recording with a bad optional part (a wheel of the wrong length) instead of
            leaving the part out and counting it.
        window_from_s: a time at which a window of `window_s` begins, so that parts of a recording
            are cut alike; None: where the recording begins.
        options: (name, value) pairs that only one kind of recording knows; see its reader's
            OPTIONS.
    """

    bin_ms: float | None = None
    align: str | None = None
    window: tuple[float, float] | None = None
    window_s: float | None = None
    behavior: tuple[str, ...] = ()
    trial_columns: tuple[str, ...] = ()
    split: str = "file"
    options: tuple[tuple[str, str], ...] = ()
    time_unit: str | None = None
    max_gap_s: float | None = None
    silence: str = "unobserved"
    strict: bool = False
    window_from_s: float | None = None

    def __post_init__(self):
        for name in ("bin_ms", "window_s", "max_gap_s"):
            value = getattr(self, name)
            require(
                value is None or isinstance(value, int | float) and 0 < value < math.inf,
                f"{name}={value!r}; expected a number above 0",
            )
        require(
            (self.align is None) == (self.window is None),
            f"align={self.align!r} came with window={self.window!r}; give both, or window_s alone",
        )
        require(
            self.window is None
            or len(self.window) == 2
            and -math.inf < self.window[0] < self.window[1] < math.inf,
            f"window={self.window!r}; expected two rising numbers of seconds, such as -0.5,1.5",
        )
        require(
            self.align is None or self.window_s is None,
            f"align={self.align!r} came with window_s={self.window_s!r}; give one of them",
        )
        if twice := sorted(set(self.behavior) & set(self.trial_columns)):
            raise InputError(
                f"{twice[0]!r} is named in both behavior and trial_columns; name it once"
            )
        names = [name for name, _ in self.options]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"options names {twice[0]!r} twice; give it one value")
        TimeUnit.of(self.time_unit)  # raises when it is no unit
        require(
            self.silence in ("unobserved", "keep"),
            f"silence={self.silence!r}; expected unobserved or keep",
        )
        self.split_block_s()  # raises when `split` is not one of the three

    def bin_size_s(self, where: str) -> float:
        """Seconds of a bin of spike times; raises InputError for bins that are too wide."""
        asked = DEFAULT_BIN_SIZE_S if self.bin_ms is None else self.bin_ms / 1000
        return check_bin_size(asked, where)

    def split_block_s(self) -> float | None:
        """Seconds of a block of a "blocks:" split, else None."""
        kind, _, length = self.split.partition(":")
        if self.split in ("file", "random"):
            return None
        block_s = as_number(length.removesuffix("s"))
        require(
            kind == "blocks" and 0 < block_s < math.inf,
            f"split={self.split!r}; expected file, random or blocks:<seconds>s, such as "
            "blocks:300s",
        )
        return block_s

    def option(self, name: str, default: str | None = None) -> str | None:
        """Value of an option of the kind, as typed; `default` when it was not given."""
        return dict(self.options).get(name, default)

    def share(self, name: str, most: float = 1.0) -> float:
        """A share that an option of the kind names, 0 to `most`; 0 when it was not given."""
        typed = self.option(name, "0")
        share = as_number(typed)
        require(0 <= share <= most, f"{name}={typed!r}; expected a share of trials, 0 to {most:g}")
        return share

    def digest(self, reader: str) -> str:
        """Hex digest of these options and of the reader's name and version."""
        given = dataclasses.asdict(self)
        # What came later is hashed only where it is given: sessions made before stay up to date.
        later = {"time_unit": None, "max_gap_s": None, "silence": "unobserved", "strict": False}
        later["window_from_s"] = None
        given = {key: value for key, value in given.items() if later.get(key, ...) != value}
        content = json.dumps([reader, given], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
