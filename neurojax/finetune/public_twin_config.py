"""What the config.json beside a released digital twin says, as a model of ours; see public_twin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.errors import require
from neurojax.files import read_json
from neurojax.finetune.named_arrays import PAGE

MAX_TOLD, MAX_SIZE, MAX_LAYERS = 6, 1 << 20, 64
SUFFIX = ".config.json"


class Described(NamedTuple):
    """What a config.json says of a twin.

    Attributes:
        model: the block `model` of a config of ours.
        image_channels, behaviours: C of the image, and what is told beside it.
    """

    model: dict[str, Any]
    image_channels: int
    behaviours: int


def config_of(path: Path) -> Path:
    """The config.json that belongs to a file of weights: NAME.config.json, or config.json."""
    beside = (
        path.with_name(path.name.removesuffix(path.suffix) + SUFFIX),
        path.parent / "config.json",
    )
    there = [one for one in beside if one.is_file()]
    require(
        there,
        f"{path} has no {beside[0].name} or config.json beside it, which says the architecture of "
        f"a twin; see {PAGE}",
    )
    return there[0]


def described(path: Path) -> Described:
    """What the config.json at `path` says; raises InputError for another architecture, all that
    does not fit in one line."""
    told = read_json(path)
    errors: list[str] = []

    def size(
        block: Mapping[str, Any], name: str, least: int = 1, default: int | None = None
    ) -> int:
        value = block.get(name, default)
        if type(value) is not int or not least <= value <= MAX_SIZE:
            errors.append(f"{name}={str(value)[:40]!r}, expected a whole number from {least} on")
            return max(least, 1)
        return value

    def word(block: Mapping[str, Any], name: str, known: Mapping[Any, Any], default: Any) -> Any:
        value = block.get(name, default)
        if not isinstance(value, str | bool) or value not in known:
            listed = ", ".join(map(str, known))
            errors.append(f"{name}={str(value)[:40]!r}, expected {listed}")
            return next(iter(known.values()))
        return known[value]

    for name, known, default in (
        ("depth_separable", {True: 0}, True),
        ("read_layers", {"last": 0}, "last"),
        ("readout", {"gaussian2d_full": 0}, "gaussian2d_full"),
        ("align_corners", {True: 0}, True),
        ("output_nonlinearity", {"elu_plus_1": 0}, "elu_plus_1"),
    ):
        word(told, name, known, default)
    place, shifter = told.get("grid_mean_predictor"), told.get("shifter")
    if not isinstance(place, Mapping):
        errors.append(f"grid_mean_predictor={str(place)[:40]!r}, expected a network of places")
        place = {}
    word(place, "nonlinearity", {"elu": 0}, "elu")
    bounded = word(place, "final", {"tanh": True, "none": False}, "tanh")
    shifts = isinstance(shifter, Mapping)
    if shifter is not None and not shifts:
        errors.append(f"shifter={str(shifter)[:40]!r}, expected a network or null")
    shifter = shifter if shifts else {}
    word(shifter, "nonlinearity", {"tanh": 0}, "tanh")
    word(shifter, "final", {"tanh": 0}, "tanh")
    place_width, place_layers = _hidden(place, "grid_mean_predictor", errors)
    shifter_width, shifter_layers = _hidden(shifter, "shifter", errors) if shifts else (1, 0)
    if shifts and not shifter_layers:
        errors.append("shifter has no hidden layer, expected one or more")
    channels = size(told, "input_channels")
    behaviours = size(told, "behaviour_channels", 0, max(channels - 1, 0))
    if behaviours >= channels:
        errors.append(
            f"behaviour_channels={behaviours} of {channels} input_channels, expected less"
        )
    epsilon = told.get("batch_norm_eps", 1e-5)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        errors.append(f"batch_norm_eps={str(epsilon)[:40]!r}, expected a small number")
    model = {
        "name": "twin",
        "image_height": size(told, "input_height"),
        "image_width": size(told, "input_width"),
        "width": size(told, "hidden_channels"),
        "num_layers": size(told, "layers"),
        "input_kernel": size(told, "input_kernel"),
        "input_padding": size(told, "input_padding", 0),
        "hidden_kernel": size(told, "hidden_kernel"),
        "hidden_padding": size(told, "hidden_padding", 0),
        "activation": word(told, "inner_nonlinearity", {"elu": "elu", "none": "none"}, "elu"),
        "norm_epsilon": epsilon,
        "place_width": place_width,
        "place_layers": place_layers,
        "place_bounded": bounded,
        "shifter_width": shifter_width,
        "shifter_layers": shifter_layers,
        "behaviour": "channels" if behaviours else "none",
        "places": "position",
    }
    if model["num_layers"] > MAX_LAYERS:
        errors.append(f"layers={model['num_layers']}, expected at most {MAX_LAYERS}")
    refuse(path, errors)
    return Described(model, channels - behaviours, behaviours)


def _hidden(block: Mapping[str, Any], name: str, errors: list[str]) -> tuple[int, int]:
    """(width, number) of the hidden layers that a network's block tells."""
    hidden = block.get("hidden", [])
    sound = isinstance(hidden, list) and len(hidden) <= MAX_LAYERS
    sound = sound and all(type(one) is int and 0 < one <= MAX_SIZE for one in hidden)
    if not sound or len(set(hidden)) > 1 or block.get("input", 2) != 2:
        errors.append(f"{name}={str(dict(block))[:60]}, expected 2 inputs and hidden layers alike")
        return 1, 0
    return (hidden[0] if hidden else 1), len(hidden)


def refuse(path: Path, errors: Sequence[str]) -> None:
    """Raises InputError for all that does not fit a file, in one line."""
    more = len(errors) - MAX_TOLD
    told = "; ".join(errors[:MAX_TOLD]) + (f"; and {more} more" if more > 0 else "")
    require(not errors, f"{path}: {told}; see {PAGE}")
