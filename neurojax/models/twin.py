"""A digital twin of visual cortex: images to the responses of the neurons of many animals.

    images [G, b, C, H, W] -> core (all animals) -> features -> read-out (rows) -> rates

What the animal did comes in as channels of the image that are constant over it, or as a gain of
each neuron. The response is ELU + 1 of the drive, in the unit of the responses trained on; the
model says its logarithm. Everything of one neuron or session is a row of a table: animals stitch,
and a new one is rows alone.

Source: Lurz et al. 2021, Generalization in data-driven models of primary visual cortex, ICLR;
    Willeke et al. 2022, The Sensorium competition, arXiv 2206.08666.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import InputError, require
from neurojax.facts import Facts
from neurojax.models import conv_core, gaussian_readout
from neurojax.models.interface import Outputs, StimulusInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, one_of, positive_or_off

NEW_ROWS_AS_IN_PRETRAINING = True  # fine-tuning starts a new session's rows so, see `fitted_rows`
BEHAVIOURS, PLACES = ("none", "channels", "gain"), ("position", "unit")


@dataclasses.dataclass(frozen=True)
class Config(conv_core.CoreConfig):
    """Attributes, beside those of the core:
    image_height, image_width: pixels of the images; places are relative to them.
    places: where a neuron looks: "position" takes it from the neuron's place in cortex by a
        network of each session, "unit" learns one for each neuron.
    place_width, place_layers: hidden units and hidden layers of that network.
    place_bounded: whether a tanh keeps means within the map.
    shifter_width, shifter_layers: of the network from the pupil's centre to a shift; without a
        layer nothing shifts.
    spread: first entries of a neuron's 2 x 2 matrix are drawn from -spread to spread.
    behaviour: "channels", "gain", or "none" where nothing is known of it.
    smoothness: weight of the roughness of the first filters (`conv_core.roughness`).
    sparsity: weight of the absolute features of a neuron, summed, in the mean over neurons.
    """

    image_height: int
    image_width: int
    places: str
    place_width: int
    place_layers: int
    place_bounded: bool
    shifter_width: int
    shifter_layers: int
    spread: float
    behaviour: str
    smoothness: float
    sparsity: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)
        room = conv_core.map_shape(self.image_height, self.image_width, self)
        require(
            min(room) >= 1,
            f"model.image_height={self.image_height} and image_width={self.image_width} leave "
            f"features of {room[0]} x {room[1]}; expected larger images or a smaller input_kernel",
        )


RANGES = {
    "places": one_of(*PLACES),
    "behaviour": one_of(*BEHAVIOURS),
    "image_height image_width place_width shifter_width": at_least(1),
    "place_layers shifter_layers": at_least(0),
    "spread smoothness sparsity": positive_or_off(),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """Features, bias, spread and place of each neuron; networks of each session."""
    found = {
        "feature": _of_units(lambda key, n: jnp.full((n, config.width), 1.0 / config.width)),
        "bias": TableSpec("unit", False, lambda key, facts: drive_of(facts.mean_counts)),
        "spread": _of_units(lambda key, n: _uniform(key, (n, 2, 2), config.spread)),
    }
    if config.places == "position":
        # Known of a neuron, not learned: `apply` stops the gradient, and nothing decays it.
        found["position"] = _of_units(lambda key, n: jnp.zeros((n, 2)), decays=None)
        found |= _network("place", config.place_width, config.place_layers)
    else:
        found["place"] = _of_units(lambda key, n: _uniform(key, (n, 2), 0.1))
    if config.shifter_layers:
        found |= _network("shift", config.shifter_width, config.shifter_layers)
    if config.behaviour == "gain":
        zeros = lambda key, facts: jnp.zeros((_num_units(facts), facts.num_features))  # noqa: E731
        found["gain"] = TableSpec("unit", False, zeros)
    return found


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the core, its running statistics)."""
    require(
        facts.num_channels >= 1,
        "model.name=twin reads images; set data.source=stimuli, as configs/twin.py does",
    )
    require(
        config.behaviour == "none" or facts.num_features >= 1,
        f"model.behaviour={config.behaviour}, but the recordings hold no behaviour; set "
        "model.behaviour=none",
    )
    return conv_core.init(key, config, _channels(config, facts))


def apply(
    weights: Weights, inputs: StimulusInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log of the expected response, [G, b, 1, N].

    Returns:
        natural as above; no states; in training extras: penalty float32 [], a prior on filters
        and features in nats a response; buffers of the core.

    Raises:
        InputError: images of another size or other channels than were trained on.
    """
    rows, (groups, trials) = weights.rows, inputs.images.shape[:2]
    images = seen_by_core(inputs, config)
    wanted = weights.params["filters"].shape[2]
    require(
        images.shape[-1] == wanted,
        f"an image and the behaviour beside it have {images.shape[-1]} channels, the twin reads "
        f"{wanted}",
    )
    size = (config.image_height, config.image_width)
    require(
        images.shape[1:3] == size,
        f"images of {images.shape[1]} x {images.shape[2]} pixels, the twin reads {size[0]} x "
        f"{size[1]}; scale them",
    )
    features, buffers = conv_core.apply(
        weights.params, weights.buffers, images, config, train=train
    )
    features = features.reshape(groups, trials, *features.shape[1:])
    places = mean_places(rows, config)[:, None]  # [G, 1, N, 2]
    if train and key is not None:
        drawn = (places[:, 0], rows["spread"], trials)
        places = gaussian_readout.drawn_places(key, *drawn)
    if config.shifter_layers:
        places = places + shifts(rows, inputs.pupil_center)[:, :, None]
    drive = jax.vmap(gaussian_readout.read)(features, places, rows["feature"])
    natural = log_response(drive + rows["bias"][:, None])
    if config.behaviour == "gain":
        natural = natural + jnp.einsum("gbk,gnk->gbn", inputs.behaviour, rows["gain"])
    extras = {"penalty": _penalty(weights, config)} if train else {}
    return Outputs(natural[:, :, None], extras=extras, buffers=buffers)


def _penalty(weights: Weights, config: Config) -> jax.Array:
    """Roughness of the first filters and absolute features of a neuron, float32 []."""
    per_unit = jnp.abs(weights.rows["feature"]).sum(-1)
    # Padded units have rows of zeros: nothing to add, but not to be counted.
    number = jnp.maximum((per_unit > 0).sum(), 1)
    rough = conv_core.roughness(weights.params["filters"])
    return config.smoothness * rough + config.sparsity * per_unit.sum() / number


def seen_by_core(inputs: StimulusInputs, config: Config) -> jax.Array:
    """Images with behaviour as further channels, constant over them: float32 [G * b, H, W, C]."""
    images = jnp.moveaxis(inputs.images.astype(jnp.float32), 2, -1)
    images = images.reshape(-1, *images.shape[2:])
    if config.behaviour == "channels":
        told = inputs.behaviour.reshape(len(images), 1, 1, -1)
        told = jnp.broadcast_to(told, (*images.shape[:3], told.shape[-1]))
        images = jnp.concatenate([images, told], axis=-1)
    return images


def mean_places(rows: dict[str, jax.Array], config: Config) -> jax.Array:
    """Where each neuron looks, (x, y), float32 [G, N, 2]."""
    if config.places == "unit":
        return jnp.tanh(rows["place"]) if config.place_bounded else rows["place"]
    position = jax.lax.stop_gradient(rows["position"])
    layers = layers_of(rows, "place")
    return gaussian_readout.mlp(layers, position, jax.nn.elu, config.place_bounded)


def shifts(rows: dict[str, jax.Array], pupil_center: jax.Array) -> jax.Array:
    """How far the pupil moves all places, float32 [G, b, 2]; zero where its centre is NaN."""
    known = jnp.isfinite(pupil_center).all(-1, keepdims=True)
    centre = jnp.where(known, pupil_center, 0.0)
    moved = gaussian_readout.mlp(layers_of(rows, "shift"), centre, jnp.tanh, True)
    return jnp.where(known, moved, 0.0)


def log_response(drive: jax.Array) -> jax.Array:
    """log(ELU(drive) + 1), which is the drive itself below zero."""
    return jnp.where(drive < 0, drive, jnp.log1p(jnp.maximum(drive, 0.0)))


def drive_of(response: Any) -> jax.Array:
    """The drive of a response above zero: the way back from `log_response`."""
    response = jnp.asarray(response, jnp.float32)
    return jnp.where(response < 1, jnp.log(jnp.maximum(response, 1e-6)), response - 1)


def layers_of(rows: dict[str, jax.Array], name: str) -> list[tuple[jax.Array, jax.Array]]:
    """(kernel, bias) of the layers of a session's network, "place" or "shift"."""
    number = sum(table.startswith(f"{name}_kernel_") for table in rows)
    return [(rows[f"{name}_kernel_{k}"], rows[f"{name}_bias_{k}"]) for k in range(number)]


def fitted_rows(config: Config, sessions: Sequence[Any], facts: Facts) -> dict[str, np.ndarray]:
    """Places of the neurons in cortex, float32 [U, 2], see `positions_of`."""
    if config.places != "position":
        return {}
    return {"position": np.concatenate([positions_of(session) for session in sessions])}


def positions_of(session: Any) -> np.ndarray:
    """Where the neurons of a session lie, float32 [N, 2]: `x_um` and `y_um` of its units, centred,
    the furthest of them at 1.

    Raises:
        InputError: the session does not say, or not of all.
    """
    columns = [session.unit_metadata.get(name) for name in ("x_um", "y_um")]
    if any(one is None or not np.isfinite(one).all() for one in columns):
        raise InputError(
            f"session {session.session_id} lacks x_um and y_um of its units; give them, or set "
            "model.places=unit"
        )
    position = np.stack(columns, axis=-1).astype(np.float64)
    position -= position.mean(0)
    return (position / max(np.abs(position).max(), 1e-9)).astype(np.float32)


def _channels(config: Config, facts: Facts) -> int:
    beside = facts.num_features if config.behaviour == "channels" else 0
    return facts.num_channels + beside


def _num_units(facts: Facts) -> int:
    return sum(facts.units_per_session)


def _of_units(values, decays: bool | None = False) -> TableSpec:
    """A table with a row for each unit; `values` takes (key, number of rows)."""
    return TableSpec("unit", decays, lambda key, facts: values(key, _num_units(facts)))


def _uniform(key: jax.Array, shape: tuple[int, ...], limit: float) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def _network(name: str, width: int, hidden: int) -> dict[str, TableSpec]:
    """Tables of a network of each session from two numbers to two."""
    sizes = [2, *[width] * hidden, 2]
    found = {}
    for number, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        for kind, shape in (("kernel", (inputs, outputs)), ("bias", (outputs,))):
            found[f"{name}_{kind}_{number}"] = _of_sessions(shape, inputs)
    return found


def _of_sessions(shape: tuple[int, ...], inputs: int) -> TableSpec:
    def first(key, facts):
        return _uniform(key, (len(facts.units_per_session), *shape), inputs**-0.5)

    return TableSpec("session", False, first)
