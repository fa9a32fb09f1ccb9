"""A protocol as data: the record, its JSON file, what makes a file wrong, and the hash of its
content."""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require
from neurojax.evals.task_kinds import KINDS, Kind
from neurojax.files import read_json
from neurojax.scores.metrics import RATE_FLOOR_HZ

SCHEMA = 1
MAX_BYTES = 1 << 20
BUILT_IN = ("mtm", "nlb", "brainwide", "few_shot")
HEADLINES = (
    *("bps_pooled", "bps_unit_mean", "bps_unit_median"),
    *("bps_pooled_train_null", "bps_unit_mean_train_null"),
    *("bps_unit_mean_ge1hz", "bps_pooled_ge1hz", "d2_unit_mean", "d2_pooled"),
)
EXTRA_SCORES = ("psth_r2_unit_mean", "single_trial_r2_unit_mean")
BEHAVIOUR_SCORE = "behaviour_r2"
# Computed always and in one way; a file names them so that its hash covers them.
FIXED = {
    "split": "test",
    "null": "evaluated_mean",
    "train_null": "train_mean",
    "rate_floor_hz": RATE_FLOOR_HZ,
}
NULL_WORDS = {
    "evaluated_mean": "mean of the unit over its evaluated entries",
    "train_mean": "mean of the unit over the train split",
}
_MAX_TRIALS, _MAX_DRAWS, _MAX_NUMBER = 100_000, 1_000, 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Task:
    """One question of a protocol.

    Attributes:
        kind: what is hidden, a name of `task_kinds.KINDS`; `hides` says the same as a record.
        words: what is hidden and scored, for readers.
        headline: the score that tables show.
        shows: "all" units or the "held_in" ones are visible; `forward` only.
        reads: behaviours, the first a session has is read linearly from the rates of all units;
            `held_out` only.
        read_out_trials: train trials from which a read-out of the held-out units is fitted;
            `held_out` only.
        num_draws: of those trials.
    """

    kind: str
    words: str
    headline: str = "bps_pooled"
    shows: str = "all"
    reads: tuple[str, ...] = ()
    read_out_trials: int = 0
    num_draws: int = 0

    @property
    def hides(self) -> Kind:
        return KINDS[self.kind]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way to score activity prediction; the fields of a protocol file.

    Attributes:
        name, version: how people call it.
        seed: of the held-out units and of the trials a read-out is fitted on.
        source: where it comes from.
        tasks: name -> Task.
        held_out_column: of units.npz, which units are held out; "" for none.
        held_out_fraction: of the scored units, drawn by seed where no such column is; 0 for none.
        last_fraction, last_seconds: how much `forward` hides of a trial's end, from one bin to half
            of them; one is 0.
        split_rule: "any", or "time_blocks": sessions with single test trials are told apart.
        min_train_spikes: units below it are neither scored nor ever shown as inputs.
        unknown_regions: labels of no region: shown as inputs, never scored in region tasks.
        min_intra_region_units: regions with fewer scored units have no intra-region score.
        scores: of EXTRA_SCORES, beside the Poisson scores.
        split, null, train_null, rate_floor_hz: see FIXED.
    """

    name: str
    version: int
    seed: int
    source: str
    tasks: Mapping[str, Task]
    held_out_column: str
    held_out_fraction: float
    last_fraction: float
    last_seconds: float
    split_rule: str
    min_train_spikes: int
    unknown_regions: tuple[str, ...]
    min_intra_region_units: int
    scores: tuple[str, ...]
    split: str
    null: str
    train_null: str
    rate_floor_hz: float

    @property
    def activity_tasks(self) -> tuple[str, ...]:
        """Tasks whose hidden counts are predicted by the model itself."""
        return tuple(
            name for name, task in self.tasks.items() if not task.reads and not task.read_out_trials
        )

    @property
    def read_out_tasks(self) -> tuple[str, ...]:
        """Tasks whose held-out units are read out after few trials."""
        return tuple(name for name, task in self.tasks.items() if task.read_out_trials)

    @property
    def behaviour_tasks(self) -> tuple[str, ...]:
        """Tasks that read a behaviour from predicted rates."""
        return tuple(name for name, task in self.tasks.items() if task.reads)

    @property
    def holds_units_out(self) -> bool:
        return bool(self.held_out_fraction or self.held_out_column)

    def task(self, name: str) -> Task:
        """Raises InputError that lists the protocol's tasks."""
        require(
            name in self.tasks, f"unknown task {name!r}, expected one of: {', '.join(self.tasks)}"
        )
        return self.tasks[name]


def built_in(name: str) -> Protocol:
    """A protocol of the package."""
    text = resources.files("neurojax.evals").joinpath("protocol_files", f"{name}.json").read_text()
    return parse(json.loads(text), f"protocol {name}")


def read(path: Path) -> Protocol:
    """A protocol file; raises InputError that says what is wrong with it."""
    require(
        path.stat().st_size <= MAX_BYTES,
        f"protocol file {path} has {path.stat().st_size:,} bytes, expected at most {MAX_BYTES:,}",
    )
    return parse(read_json(path), f"protocol file {path}")


def nearest(name: str, known: tuple[str, ...]) -> str:
    """`; did you mean 'mtm'?` where a known name is near, else nothing."""
    found = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def as_json(protocol: Protocol) -> dict[str, Any]:
    """The content of a protocol file that `parse` reads back to the same protocol."""
    content = {"schema": SCHEMA, **json.loads(json.dumps(dataclasses.asdict(protocol)))}
    given = {
        name: {key: value for key, value in task.items() if value}
        for name, task in content["tasks"].items()
    }
    return content | {"tasks": given}


def content_hash(protocol: Protocol) -> str:
    """First 16 hex digits of the SHA-256 of the protocol as canonical JSON."""
    content = json.dumps(dataclasses.asdict(protocol), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def parse(content: Any, where: str) -> Protocol:
    """Checks the content of a protocol file; raises InputError naming the entry."""
    entry = _Entries(content, where)
    require(
        entry.number("schema", 1, 1 << 31) == SCHEMA,
        f"{where}: schema {content['schema']!r}, expected {SCHEMA}; update neurojax",
    )
    own_name = entry.text("name")
    for name, only in FIXED.items():
        require(
            entry.take(name) == only,
            f"{where}: {name} is {content[name]!r}, expected {only!r}: it is always that",
        )
    tasks = entry.take("tasks")
    require(
        isinstance(tasks, Mapping) and tasks,
        f"{where}: tasks must be an object with one entry a task",
    )
    protocol = Protocol(
        name=own_name,
        version=entry.number("version", 0, _MAX_NUMBER),
        seed=entry.number("seed", 0, _MAX_NUMBER),
        source=entry.text("source"),
        tasks={name: _task(name, task, where) for name, task in tasks.items()},
        held_out_column=entry.text("held_out_column"),
        held_out_fraction=entry.real("held_out_fraction", 0.0, 0.9),
        last_fraction=entry.real("last_fraction", 0.0, 0.5),
        last_seconds=entry.real("last_seconds", 0.0, 3600.0),
        split_rule=entry.one_of("split_rule", ("any", "time_blocks")),
        min_train_spikes=entry.number("min_train_spikes", 0, _MAX_NUMBER),
        unknown_regions=entry.texts("unknown_regions"),
        min_intra_region_units=entry.number("min_intra_region_units", 2, _MAX_NUMBER),
        scores=entry.texts("scores", EXTRA_SCORES),
        **FIXED,
    )
    entry.refuse_others()
    require(
        protocol.name.replace("_", "").isalnum() and len(protocol.name) <= 40,
        f"{where}: name {protocol.name[:60]!r}, expected letters, digits and _, at most 40",
    )
    _require_consistent(protocol, where)
    return protocol


def _task(name: str, content: Any, where: str) -> Task:
    where = f"{where}, task {name!r}"
    require(
        name.replace("_", "").isalnum() and len(name) <= 40,
        f"{where}: expected letters, digits and _ in its name, at most 40",
    )
    entry = _Entries(content, where)
    task = Task(
        kind=entry.one_of("kind", tuple(KINDS)),
        words=entry.text("words"),
        headline=entry.one_of("headline", (*HEADLINES, BEHAVIOUR_SCORE), "bps_pooled"),
        shows=entry.one_of("shows", ("all", "held_in"), "all"),
        reads=entry.texts("reads", None, ()),
        read_out_trials=entry.number("read_out_trials", 1, _MAX_TRIALS, 0),
        num_draws=entry.number("num_draws", 1, _MAX_DRAWS, 0),
    )
    entry.refuse_others()
    reads, few_trials = bool(task.reads), bool(task.read_out_trials)
    rules = {
        f"reads and read_out_trials go with the kind held_out, not with {task.kind}": (
            task.hides.held_out or not (reads or few_trials)
        ),
        "has both reads and read_out_trials; make two tasks of it": not (reads and few_trials),
        "read_out_trials and num_draws go together": few_trials == bool(task.num_draws),
        f"shows='held_in' goes with the kind forward, not with {task.kind}": (
            task.shows != "held_in" or task.hides.last_bins
        ),
        f"the headline {BEHAVIOUR_SCORE} goes with reads, and reads with no other": (
            reads == (task.headline == BEHAVIOUR_SCORE)
        ),
    }
    for otherwise, holds in rules.items():
        require(holds, f"{where}: {otherwise}")
    return task


def _require_consistent(protocol: Protocol, where: str) -> None:
    for name, task in protocol.tasks.items():
        require(
            protocol.holds_units_out or (not task.hides.held_out and task.shows != "held_in"),
            f"{where}: task {name!r} needs held-out units; set held_out_fraction or "
            "held_out_column",
        )
    require(
        (protocol.last_fraction > 0) != (protocol.last_seconds > 0)
        or not any(task.hides.last_bins for task in protocol.tasks.values()),
        f"{where}: forward needs last_fraction or last_seconds above 0, and the other 0",
    )
    kinds = [protocol.tasks[name].kind for name in protocol.activity_tasks]
    for kind in sorted(kinds):
        require(
            kinds.count(kind) == 1,
            f"{where}: two tasks of the kind {kind}, expected one; make two protocols",
        )


class _Entries:
    """Typed access to the entries of a JSON object; what is never taken is refused."""

    _MISSING = object()

    def __init__(self, content: Any, where: str):
        require(
            isinstance(content, Mapping),
            f"{where}: expected an object, found {type(content).__name__}",
        )
        self._content, self._where, self._taken = content, where, set()

    def take(self, name: str, default: Any = _MISSING) -> Any:
        self._taken.add(name)
        require(
            name in self._content or default is not self._MISSING, f"{self._where}: has no {name!r}"
        )
        return self._content.get(name, default)

    def refuse_others(self) -> None:
        if others := sorted(set(self._content) - self._taken):
            known = tuple(sorted(self._taken))
            hint = nearest(others[0], known) or f"; known: {', '.join(known)}"
            raise InputError(f"{self._where}: unknown entry {others[0][:60]!r}{hint}")

    def text(self, name: str) -> str:
        value = self.take(name)
        require(
            isinstance(value, str) and len(value) <= 1000,
            f"{self._where}: {name} is {str(value)[:60]!r}, expected text of at most 1,000 letters",
        )
        return value

    def texts(
        self, name: str, known: tuple[str, ...] | None = None, default: Any = _MISSING
    ) -> tuple[str, ...]:
        values = self.take(name, default)
        require(
            isinstance(values, list | tuple) and all(isinstance(value, str) for value in values),
            f"{self._where}: {name} is {str(values)[:60]!r}, expected a list of texts",
        )
        for value in values if known is not None else ():
            require(
                value in known,
                f"{self._where}: {name} has {value[:60]!r}, expected some of: {', '.join(known)}",
            )
        return tuple(values)

    def one_of(self, name: str, known: tuple[str, ...], default: Any = _MISSING) -> str:
        value = self.take(name, default)
        require(
            value in known,
            f"{self._where}: {name} is {str(value)[:60]!r}, expected one of: "
            f"{', '.join(known)}{nearest(str(value)[:60], known)}",
        )
        return value

    def number(self, name: str, least: int, most: int, default: Any = _MISSING) -> int:
        value = self.take(name, default)
        require(
            value is default or (type(value) is int and least <= value <= most),
            f"{self._where}: {name} is {str(value)[:60]}, expected a whole number {least} to "
            f"{most}",
        )
        return value

    def real(self, name: str, least: float, most: float) -> float:
        value = self.take(name)
        require(
            type(value) in (int, float) and least <= value <= most,
            f"{self._where}: {name} is {str(value)[:60]}, expected a number {least:g} to {most:g}",
        )
        return float(value)
