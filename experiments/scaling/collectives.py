"""Counts what the devices of a mesh tell each other, from the text of a compiled program."""

import math
import re
from typing import NamedTuple

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
BYTES |= {"s64": 8, "u64": 8, "f64": 8}
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_SHAPE = re.compile(r"\b([a-z]+[0-9]*)\[([0-9,]*)\]")
_INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?(\S+) = (.*?) ({'|'.join(KINDS)})(?:-start)?\((.*)$")
_CALLED = re.compile(r"(?:body|to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)")


class Collective(NamedTuple):
    kind: str
    shape: str
    bytes: int  # of its result, in one device
    devices: int  # that take part together
    times: int  # a step
    origin: str  # the operation of the model it belongs to, as jax names it

    def sent_bytes(self) -> float:
        """What a device sends in a step when a ring of the devices carries it out."""
        share = (self.devices - 1) / self.devices
        sizes = {
            "all-reduce": 2 * self.bytes * share,
            "all-gather": self.bytes * share,
            "reduce-scatter": self.bytes * self.devices * share,
            "all-to-all": self.bytes * share,
            "collective-permute": self.bytes,
        }
        return self.times * sizes[self.kind]


def collectives(text: str) -> list[Collective]:
    """Collectives of a program with how often a call runs them: a loop's body counts once a turn.

    Raises:
        ValueError: a loop with collectives whose number of turns the text does not say.
    """
    bodies, entry = _computations(text)
    found: list[Collective] = []

    def visit(name: str, times: int) -> int:
        seen = len(found)
        for line in bodies.get(name, ()):
            match = _INSTRUCTION.match(line)
            if match:
                found.append(_collective(match, line, times))
            elif " while(" in line:
                turns = re.search(r'known_trip_count"?:\{"n":"?(\d+)', line)
                inside = visit(re.search(r"body=%?([\w.\-]+)", line)[1], times * int(turns[1] if turns else 1))
                if inside and not turns:
                    raise ValueError(f"a loop with collectives and an unknown number of turns: {line.strip()[:200]}")
            else:
                for called in _CALLED.findall(line):
                    visit(called, times)
        return len(found) - seen

    visit(entry, 1)
    return [collective for collective in found if collective.devices > 1]


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """(name -> lines of each computation, name of the entry)."""
    bodies, entry, name = {}, "", None
    for line in text.splitlines():
        opened = re.match(r"^(ENTRY )?%?([\w.\-]+) .*\{$", line)
        if opened and "=" not in line.split("(")[0]:
            name = opened[2]
            bodies[name] = []
            entry = name if opened[1] else entry
        elif line.startswith("}"):
            name = None
        elif name is not None:
            bodies[name].append(line)
    return bodies, entry


def _collective(match: re.Match, line: str, times: int) -> Collective:
    shape, kind = match[2], match[3]
    sizes = [BYTES[dtype] * math.prod(map(int, filter(None, dims.split(",")))) for dtype, dims in _SHAPE.findall(shape)]
    origin = re.search(r'op_name="([^"]*)"', line)
    plain = re.sub(r"\{[0-9,]*\}", "", shape)
    return Collective(kind, plain, sum(sizes), _group_size(line), times, origin[1] if origin else "")


def _group_size(line: str) -> int:
    """Devices that take part together.

    Written as `{{0,1},{2,3}}`, `[2,4]<=[8]` (two groups of four), `mesh['a'=2,'b'=4] {'b'}`, or pairs that permute.
    """
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}", line):
        return 2 if pairs[1] else 1
    if named := re.search(r"replica_groups=mesh\[(.*?)\](?:, device_ids=\(.*?\)\))? \{(.*?)\}", line):
        sizes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", named[1])}
        axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", named[2])  # a part of an axis says its own size
        return math.prod(int(part) if part else sizes[name] for name, part in axes)
    if tiled := re.search(r"replica_groups=\[(\d+),(\d+)\]", line):
        return int(tiled[2])
    if listed := re.search(r"replica_groups=\{\{([0-9,]*)\}", line):
        return len(listed[1].split(","))
    raise ValueError(f"a collective without its devices: {line.strip()[:200]}")
