"""Weights of the released NDT1-stitch (MtM) under their public names, to and from the model `ndt`.

Which public name is which parameter stands in tables, with the public shape in letters. Every name
in a file has to be in a table, every parameter has to be filled, and all that is not so is told at
once.

What the file does not say, a config.json beside it may: the heads, the bin size, and which session
a read-in belongs to. The released model keys these by number of units, not by session.

Sources: names, shapes and the order of the prompts of the released code of Zhang et al. 2024
    (github.com/colehurwitz/IBL_MtM_model), its config `ndt1_stitching_prompting`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.errors import require
from neurojax.finetune.named_arrays import PAGE, NamedArrays
from neurojax.finetune.safetensors_file import KINDS
from neurojax.schemes import PROMPTS

MAX_LAYERS, MAX_TOLD = 1024, 6
PUBLIC_PROMPTS = ("neuron", "causal", "inter_region", "intra_region")  # rows of embed_prompt


class Rule(NamedTuple):
    """Attributes:
    axes: of the public array, a letter each: K read-in width, E width of the embedder, D of the
        model, M of a layer's MLP, T bins, P prompts, S sessions, N units.
    parameter: name in a state of `ndt`.
    turned: stored [outputs, inputs] there, [inputs, outputs] here.
    """

    axes: str
    parameter: str
    turned: bool = False


_LAYER = "params/transformer/layers"
SHARED = {  # {n}: number of the layer
    "encoder.embedder.embed_spikes.weight": Rule("EK", "params/tokenizer/embed/kernel", True),
    "encoder.embedder.embed_spikes.bias": Rule("E", "params/tokenizer/embed/bias"),
    "encoder.embedder.projection.weight": Rule("DE", "params/tokenizer/project/kernel", True),
    "encoder.embedder.projection.bias": Rule("D", "params/tokenizer/project/bias"),
    "encoder.embedder.embed_pos.weight": Rule("TD", "params/positions"),
    "encoder.embedder.embed_prompt.weight": Rule("PD", "params/prompts"),
    "encoder.embedder.embed_session.weight": Rule("SD", "tables/session_token"),
    "encoder.layers.{n}.ln1.weight": Rule("D", f"{_LAYER}/norm_attention/scale"),
    "encoder.layers.{n}.ln1.bias": Rule("D", f"{_LAYER}/norm_attention/bias"),
    "encoder.layers.{n}.attn.query.weight": Rule("DD", f"{_LAYER}/query/kernel", True),
    "encoder.layers.{n}.attn.query.bias": Rule("D", f"{_LAYER}/query/bias"),
    "encoder.layers.{n}.attn.key.weight": Rule("DD", f"{_LAYER}/key/kernel", True),
    "encoder.layers.{n}.attn.key.bias": Rule("D", f"{_LAYER}/key/bias"),
    "encoder.layers.{n}.attn.value.weight": Rule("DD", f"{_LAYER}/value/kernel", True),
    "encoder.layers.{n}.attn.value.bias": Rule("D", f"{_LAYER}/value/bias"),
    "encoder.layers.{n}.attn.out_proj.weight": Rule("DD", f"{_LAYER}/output/kernel", True),
    "encoder.layers.{n}.attn.out_proj.bias": Rule("D", f"{_LAYER}/output/bias"),
    "encoder.layers.{n}.ln2.weight": Rule("D", f"{_LAYER}/norm_mlp/scale"),
    "encoder.layers.{n}.ln2.bias": Rule("D", f"{_LAYER}/norm_mlp/bias"),
    "encoder.layers.{n}.mlp.up_proj.weight": Rule("MD", f"{_LAYER}/expand/kernel", True),
    "encoder.layers.{n}.mlp.up_proj.bias": Rule("M", f"{_LAYER}/expand/bias"),
    "encoder.layers.{n}.mlp.down_proj.weight": Rule("DM", f"{_LAYER}/contract/kernel", True),
    "encoder.layers.{n}.mlp.down_proj.bias": Rule("D", f"{_LAYER}/contract/bias"),
    "encoder.out_norm.weight": Rule("D", "params/transformer/norm/scale"),
    "encoder.out_norm.bias": Rule("D", "params/transformer/norm/bias"),
}
BY_UNITS = {  # {N}: number of units, which names the pair of maps
    "encoder.stitcher.stitcher_dict.{N}.weight": Rule("KN", "tables/read_in", True),
    "encoder.stitcher.stitcher_dict.{N}.bias": Rule("K", "tables/read_in_bias"),
    "stitch_decoder.stitch_decoder_dict.{N}.weight": Rule("ND", "tables/read_out"),
    "stitch_decoder.stitch_decoder_dict.{N}.bias": Rule("N", "tables/read_out_bias"),
}
# A map that the released model builds and, with stitchers, never uses.
UNUSED = {"decoder.0.weight": Rule("KD", ""), "decoder.0.bias": Rule("K", "")}
TABLE = SHARED | BY_UNITS | UNUSED
_PREFIX = "module."  # of a model that was trained on several devices
_ABSENT = {  # what a file without it is
    "encoder.embedder.embed_pos.weight": "rotary positions, whose places differ from ours",
    "encoder.embedder.embed_prompt.weight": "trained without prompts",
    "encoder.embedder.embed_session.weight": "trained without session tokens",
    "encoder.stitcher.stitcher_dict.{N}.weight": "trained on one session without a stitcher",
}


class Found(NamedTuple):
    """A public name of a file.

    Attributes:
        name: in the file.
        rule: of it.
        layer: number of the layer, None outside of them.
        units: N of a pair of maps, None of what all sessions share.
    """

    name: str
    rule: Rule
    layer: int | None
    units: int | None


class Released(NamedTuple):
    """Attributes:
    sizes: letter of an axis -> its length, without N; L, the number of layers.
    units: N of every pair of maps, ascending.
    places: what each name of the file is; without names that are of no use.
    """

    sizes: dict[str, int]
    units: tuple[int, ...]
    places: tuple[Found, ...]


def looked_at(file: NamedArrays) -> Released:
    """What a file holds; no array is read.

    Raises:
        InputError: names that no table has or that stand twice, parameters that nothing fills,
            other shapes or types; all of them in one line.
    """
    errors, places, seen = [], {}, set()
    for name in sorted(file.entries):
        place = _place(name)
        if place is None:
            errors.append(f"{name[:80]!r} is no part of NDT1-stitch")
        elif place[1:] in seen:
            errors.append(f"{name[:80]!r} stands there twice, with and without {_PREFIX!r}")
        else:
            places[name] = place
            seen.add(place[1:])
    units = sorted({place.units for place in places.values() if place.units is not None})
    layers = [place.layer for place in places.values() if place.layer is not None]
    sizes = _sizes(file, places.values())
    sizes["L"] = 1 + max(layers, default=0)
    require(
        sizes["L"] <= MAX_LAYERS,
        f"{file.path} has {sizes['L']:,} layers, expected at most {MAX_LAYERS:,}",
    )
    errors += _missing(places.values(), sizes["L"], units)
    for name, place in places.items():
        wanted = tuple(
            place.units if letter == "N" else sizes.get(letter) for letter in place.rule.axes
        )
        kind, shape = file.entries[name]
        if shape != wanted or kind not in KINDS:
            told = ", ".join("?" if size is None else str(size) for size in wanted)
            errors.append(f"{name!r} is {kind} {list(shape)}, expected F32, F16 or BF16 [{told}]")
        elif 0 in shape:
            errors.append(f"{name!r} is {list(shape)}, expected no axis of length 0")
    _refuse(file, errors)
    kept = tuple(place for place in places.values() if place.rule.parameter)
    return Released(sizes, tuple(units), kept)


def _place(name: str) -> Found | None:
    """What a name of a file is; None of one that is in no table."""
    short = name.removeprefix(_PREFIX)
    layer = re.match(r"encoder\.layers\.(0|[1-9]\d{0,3})\.", short)
    units = re.search(r"\.stitch(?:er|_decoder)_dict\.([1-9]\d{0,6})\.", short)
    if layer:
        general = short.replace(layer[0], "encoder.layers.{n}.", 1)
    elif units:
        general = short.replace(f"_dict.{units[1]}.", "_dict.{N}.", 1)
    else:
        general = short
    # A general name is never one of a file: its braces stand for a number.
    rule = TABLE.get(general) if (general != short or "{" not in short) else None
    if rule is None:
        return None
    return Found(name, rule, int(layer[1]) if layer else None, int(units[1]) if units else None)


def _sizes(file: NamedArrays, places: Sequence[Found]) -> dict[str, int]:
    """Letter -> the length that most arrays give that axis, so that a wrong one is the odd one."""
    votes: dict[str, Counter] = {}
    for place in places:
        shape = file.entries[place.name].shape
        for letter, size in zip(place.rule.axes, shape, strict=False):
            votes.setdefault(letter, Counter())[size] += 1
    found = {letter: counted.most_common(1)[0][0] for letter, counted in votes.items()}
    found.pop("N", None)
    return found | {"P": len(PUBLIC_PROMPTS)}


def _missing(places: Sequence[Found], num_layers: int, units: Sequence[int]) -> list[str]:
    """One sentence for each parameter that nothing fills."""
    there = {(place.rule, place.layer, place.units) for place in places}
    missing = []
    for general, layer, number, name in _names(num_layers, units or [0]):
        rule = TABLE[general]
        if rule.parameter and (rule, layer, number) not in there:
            means = f" ({_ABSENT[general]})" if general in _ABSENT and not number else ""
            missing.append(f"{name!r} is missing{means}")
    return missing


def _names(
    num_layers: int, units: Sequence[int]
) -> Iterator[tuple[str, int | None, int | None, str]]:
    """(name in a table, layer, N, public name) of every array of a model of these sizes."""
    for general in TABLE:
        if "{n}" in general:
            for layer in range(num_layers):
                yield general, layer, None, general.replace("{n}", str(layer))
        elif "{N}" in general:
            for number in units:
                yield general, None, number, general.replace("{N}", str(number or "N"))
        else:
            yield general, None, None, general


def _refuse(file: NamedArrays, errors: Sequence[str]) -> None:
    more = len(errors) - MAX_TOLD
    told = "; ".join(errors[:MAX_TOLD]) + (f"; and {more} more" if more > 0 else "")
    require(not errors, f"{file.path}: {told}; see {PAGE}")


def parameters(
    file: NamedArrays, found: Released, session_rows: Sequence[int | None], shapes: Mapping
) -> dict[str, np.ndarray]:
    """The parameters of `ndt`, float32, read array by array.

    Args:
        file, found: of `looked_at`.
        session_rows: row of embed_session of each pair of maps, in the order of `found.units`;
            None where not known: the mean of all rows.
        shapes: parameter -> shape, of the model that the config makes; `tables/session_token` has
            a row for each pair of maps, and then all rows of embed_session.

    Raises:
        InputError: values that are not finite.
    """
    filled = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    starts = dict(zip(found.units, np.cumsum([0, *found.units]), strict=False))
    errors = []
    for place in found.places:
        array = np.asarray(file.read(place.name)).astype(np.float32)
        if not np.isfinite(array).all():
            errors.append(f"{place.name!r} has values that are not finite")
        array = array.T if place.rule.turned else array
        target = filled[place.rule.parameter]
        if place.layer is not None:
            target[place.layer] = array
        elif place.units is None:
            target[len(target) - len(array) :] = _prompts(place, array)
        elif "N" in place.rule.axes:
            target[starts[place.units] :][: place.units] = array
        else:
            target[found.units.index(place.units)] = array
    _refuse(file, errors)
    tokens = filled["tables/session_token"]
    own = tokens[len(found.units) :]
    for number, row in enumerate(session_rows):
        tokens[number] = own.mean(0) if row is None else own[row]
    return filled


def _prompts(place: Found, array: np.ndarray) -> np.ndarray:
    """Rows of prompts in our order; anything else as it is."""
    if place.rule.parameter != "params/prompts":
        return array
    return array[[PUBLIC_PROMPTS.index(scheme) for scheme in PROMPTS]]


def published(
    arrays: Mapping[str, np.ndarray], entries: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, np.ndarray], list[int | None]]:
    """Weights of `ndt` under their public names, the way back from `parameters`.

    Args:
        arrays: name in the state -> array.
        entries: of the sessions, in row order; where each has an "embed_session_row", as imported
            ones do, embed_session comes out as it went in.

    Returns:
        public name -> array, and the row of embed_session of each session, None where not known.

    Raises:
        InputError: two sessions of the same number of units, which share a public name.
    """
    units = [entry["num_units"] for entry in entries]
    for number, count in Counter(units).items():
        same = [entry["session_id"] for entry in entries if entry["num_units"] == number]
        require(
            count == 1,
            f"sessions {', '.join(same[:3])} have {number} units each, and the public names are "
            "those of a read-in for each number of units; export without --format=mtm",
        )
    starts = dict(zip(units, np.cumsum([0, *units]), strict=False))
    num_layers = len(arrays[f"{_LAYER}/query/bias"])
    tokens, rows = _session_rows(arrays["tables/session_token"], entries)
    made = {}
    for general, layer, number, name in _names(num_layers, units):
        rule = TABLE[general]
        if not rule.parameter:
            continue
        array = tokens if rule.parameter == "tables/session_token" else arrays[rule.parameter]
        if layer is not None:
            array = array[layer]
        elif number is not None and "N" in rule.axes:
            array = array[starts[number] :][:number]
        elif number is not None:
            array = array[units.index(number)]
        elif rule.parameter == "params/prompts":
            array = array[[PROMPTS.index(scheme) for scheme in PUBLIC_PROMPTS]]
        made[name] = np.ascontiguousarray(array.T if rule.turned else array)
    # The released code builds it, so a strict load asks for it.
    read_in, width = arrays["tables/read_in"].shape[1], arrays["tables/read_out"].shape[1]
    made["decoder.0.weight"] = np.zeros((read_in, width), np.float32)
    made["decoder.0.bias"] = np.zeros(read_in, np.float32)
    return made, rows


def _session_rows(
    tokens: np.ndarray, entries: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, list[int | None]]:
    """(embed_session, the row of each session) of a table of tokens, see `parameters`."""
    own = tokens[len(entries) :].copy()
    rows = [entry.get("embed_session_row", len(own)) for entry in entries]
    if not all(row is None or (type(row) is int and 0 <= row < len(own)) for row in rows):
        return tokens, list(range(len(entries)))  # of a run that was not imported
    for number, row in enumerate(rows):
        if row is not None:
            own[row] = tokens[number]
    return own, rows
