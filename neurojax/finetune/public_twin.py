"""Weights of SENSORIUM's digital twins under their public names, as parameters of the model `twin`.

Which public name is which parameter stands in a table, with the public shape in letters. Every name
in a file has to be in the table, every parameter has to be filled, and all that is not so is told
at once.

The architecture is what a config.json beside the weights says. Names of the released read-outs and
shifters hold the recording they are of; a file may have several.

Sources: names and shapes of the released state dicts (github.com/sinzlab/sensorium, MIT).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import SPLIT_NAMES
from neurojax.finetune.named_arrays import NamedArrays
from neurojax.finetune.public_twin_config import Described, refuse
from neurojax.finetune.safetensors_file import KINDS

PRESENTATION_S = 0.5  # of an image in these recordings


class Rule(NamedTuple):
    """Attributes:
    axes: of the public array, a letter or a digit each: D width, C channels, K pixels of the first
        filters, M of later ones, N neurons, P and Q inputs and outputs of a layer of the network
        of places, S and T of a shifter; 1, 2 and 3 stand for themselves.
    parameter: name in a state of `twin`; "" of what takes no part in a response.
    order: axes of the stored array in the order in which they are kept; () as they are.
    """

    axes: str
    parameter: str
    order: tuple[int, ...] = ()


_LAYER, _READ, _SHIFT = "core.features.layer{n}", "readout.{session}", "shifter.{session}"
_BLOCK = f"{_LAYER}.ds_conv"
TABLE = {  # {n}: number of the layer
    "core.features.layer0.conv.weight": Rule("DCKK", "params/filters", (2, 3, 1, 0)),
    f"{_BLOCK}.in_depth_conv.weight": Rule("DD11", "params/mix_in", (1, 0, 2, 3)),
    f"{_BLOCK}.spatial_conv.weight": Rule("D1MM", "params/depthwise", (2, 3, 0, 1)),
    f"{_BLOCK}.out_depth_conv.weight": Rule("DD11", "params/mix_out", (1, 0, 2, 3)),
    f"{_LAYER}.norm.weight": Rule("D", "params/norm_scale"),
    f"{_LAYER}.norm.bias": Rule("D", "params/norm_bias"),
    f"{_LAYER}.norm.running_mean": Rule("D", "buffers/norm_mean"),
    f"{_LAYER}.norm.running_var": Rule("D", "buffers/norm_variance"),
    f"{_LAYER}.norm.num_batches_tracked": Rule("", ""),
    "core._input_weights_regularizer.laplace.filter": Rule("1133", ""),
    f"{_READ}._features": Rule("1D1N", "tables/feature", (3, 1, 0, 2)),
    f"{_READ}.bias": Rule("N", "tables/bias"),
    f"{_READ}.sigma": Rule("1N22", "tables/spread", (1, 2, 3, 0)),
    f"{_READ}.source_grid": Rule("N2", "tables/position"),
    f"{_READ}.mu_transform.{{k}}.weight": Rule("QP", "tables/place_kernel_{k}", (1, 0)),
    f"{_READ}.mu_transform.{{k}}.bias": Rule("Q", "tables/place_bias_{k}"),
    f"{_SHIFT}.mlp.{{k}}.weight": Rule("TS", "tables/shift_kernel_{k}", (1, 0)),
    f"{_SHIFT}.mlp.{{k}}.bias": Rule("T", "tables/shift_bias_{k}"),
}
# What may be left out: counters, and the filter of a penalty.
OPTIONAL = {name for name, rule in TABLE.items() if not rule.parameter}


class Found(NamedTuple):
    """A public name of a file: its general name, layer or place in a network, and session."""

    name: str
    general: str
    layer: int | None
    session: str | None


class Released(NamedTuple):
    """Attributes:
    sessions: names of the recordings, sorted.
    num_neurons: of each.
    places: what each name of the file is.
    """

    sessions: tuple[str, ...]
    num_neurons: tuple[int, ...]
    places: tuple[Found, ...]


def looked_at(file: NamedArrays, told: Described) -> Released:
    """What a file holds, beside what its config says; no array is read.

    Raises:
        InputError: names that the table does not have, parameters that nothing fills, other shapes
            or types; all of them in one line.
    """
    errors, found = [], {}
    for name in sorted(file.entries):
        place = _place(name, told.model)
        if place is None:
            errors.append(f"{name[:80]!r} is no part of such a twin")
        else:
            found[name] = place
    sessions = sorted({place.session for place in found.values() if place.session is not None})
    if not sessions:
        errors.append("'readout.NAME.bias' is missing")
    numbers = {}
    for session in sessions:
        shape = file.entries.get(f"readout.{session}.bias", (None, ()))[1]
        numbers[session] = shape[0] if len(shape) == 1 else 0
    for general, name in _names(told.model, sessions):
        if name not in found and general not in OPTIONAL:
            errors.append(f"{name!r} is missing")
    for name, place in found.items():
        rule, (kind, shape) = TABLE[place.general], file.entries[name]
        lengths = _lengths(told, place, numbers)
        wanted = tuple(lengths[letter] for letter in rule.axes)
        kinds = KINDS if rule.parameter else (*KINDS, "I64")
        if shape != wanted or kind not in kinds or 0 in shape:
            errors.append(f"{name!r} is {kind} {list(shape)}, expected F32 {list(wanted)}")
    refuse(file.path, errors)
    places = tuple(place for place in found.values() if TABLE[place.general].parameter)
    return Released(tuple(sessions), tuple(numbers[one] for one in sessions), places)


def entries_of(found: Released) -> list[dict[str, Any]]:
    """Roster of the recordings of a file; the names of their neurons are not known."""
    return [
        {
            "session_id": session,
            "num_units": number,
            "units_sha256": "",
            "region": ["VISp"] * number,
            "bin_size_s": PRESENTATION_S,
            "subject_id": None,
            "species": None,
            "licence": None,
            "source": "weights of a digital twin under their public names",
            "num_trials": dict.fromkeys(SPLIT_NAMES, 0),
            "content_sha256": "",
            "counts_sha256": "",
        }
        for session, number in zip(found.sessions, found.num_neurons, strict=True)
    ]


def _place(name: str, model: Mapping[str, Any]) -> Found | None:
    """What a name of a file is; None of one that such a twin does not have."""
    general, number, session = name, None, None
    if match := re.fullmatch(r"core\.features\.layer(0|[1-9]\d{0,2})\.(.+)", name):
        number = int(match[1])
        if number or not match[2].startswith("conv."):
            general = f"{_LAYER}.{match[2]}"
        if number >= model["num_layers"] or (number == 0 and "ds_conv" in general):
            return None
        number = None if general == name else number
    elif match := re.fullmatch(
        r"(readout|shifter)\.(.+?)"
        r"\.(_features|bias|sigma|source_grid|(?:mu_transform|mlp)\.(\d{1,3})\.\w+)",
        name,
    ):
        session, rest = match[2], match[3]
        if match[4] is not None:
            number = int(match[4])
            layers = model["place_layers" if match[1] == "readout" else "shifter_layers"]
            # Activations stand between the layers: layer k has the number 2 k.
            if number % 2 or number // 2 > layers or (match[1] == "shifter" and not layers):
                return None
            rest, number = rest.replace(f".{match[4]}.", ".{k}."), number // 2
        general = f"{match[1]}.{{session}}.{rest}"
    if general not in TABLE or ("{" in name):
        return None
    return Found(name, general, number, session)


def _names(model: Mapping[str, Any], sessions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(general name, public name) of every array of a twin."""
    for general in TABLE:
        for session in sessions if "{session}" in general else (None,):
            for number in _numbers(general, model):
                name = general.replace("{session}", str(session)).replace("{n}", str(number))
                yield general, name.replace("{k}", str(2 * (number or 0)))


def _numbers(general: str, model: Mapping[str, Any]) -> Sequence[int | None]:
    """Layers that a general name stands for."""
    if "ds_conv" in general:
        return range(1, model["num_layers"])
    if "{n}" in general:
        return range(model["num_layers"])
    if "mu_transform" in general:
        return range(model["place_layers"] + 1)
    if "{k}" in general:
        return range(model["shifter_layers"] + 1) if model["shifter_layers"] else ()
    return (None,)


def _lengths(told: Described, place: Found, numbers: Mapping[str, int]) -> dict[str, int]:
    """Letter -> length of that axis of one array."""
    model, layer = told.model, place.layer or 0
    found = {"1": 1, "2": 2, "3": 3, "D": model["width"], "K": model["input_kernel"]}
    found |= {"M": model["hidden_kernel"], "C": told.image_channels + told.behaviours}
    found["N"] = numbers.get(place.session or "", 0)
    for letters, name in (("PQ", "place"), ("ST", "shifter")):
        sizes = [2, *[model[f"{name}_width"]] * model[f"{name}_layers"], 2]
        at = min(layer, len(sizes) - 2)
        found |= {letters[0]: sizes[at], letters[1]: sizes[at + 1]}
    return found


def parameters(file: NamedArrays, found: Released, shapes: Mapping) -> dict[str, np.ndarray]:
    """The parameters of `twin`, float32, read array by array.

    Args:
        file, found: of `looked_at`.
        shapes: parameter -> shape, of the model that the config makes.

    Raises:
        InputError: values that are not finite, or a variance below zero.
    """
    filled = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    starts = dict(zip(found.sessions, np.cumsum([0, *found.num_neurons]), strict=False))
    errors = []
    for place in found.places:
        rule = TABLE[place.general]
        array = np.asarray(file.read(place.name)).astype(np.float32)
        if not np.isfinite(array).all():
            errors.append(f"{place.name!r} has values that are not finite")
        if rule.parameter == "buffers/norm_variance" and (array < 0).any():
            errors.append(f"{place.name!r} has variances below zero")
        array = array.transpose(rule.order) if rule.order else array
        target = filled[rule.parameter.replace("{k}", str(place.layer))]
        if place.session is None:
            place_in = target if place.layer is None else target[_row(place)]
        elif "N" in rule.axes:
            first = starts[place.session]
            place_in = target[first : first + len(array)]
        else:
            place_in = target[found.sessions.index(place.session)]
        place_in[...] = array.reshape(place_in.shape)
    refuse(file.path, errors)
    return filled


def _row(place: Found) -> int:
    """Row of a layer: later layers are kept beside each other, without the first."""
    return place.layer - ("ds_conv" in place.general)
