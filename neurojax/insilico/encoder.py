"""An encoder: images to the expected responses of the neurons of one session, with fixed weights.

What experiments, decoding by Bayes' rule and `nj.load(DIR).responses` share. Everything of one
animal is in the encoder's rows; images are [n, C, H, W], in the unit that was trained on.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import InputError, require
from neurojax.models import twin
from neurojax.models.interface import StimulusInputs, Weights

IMAGES_PER_PASS = 32


class Encoder:
    """The twin of one session.

    Attributes:
        weights: with the rows of this session, [1, N, ...] or [1, ...].
        config: of models.twin.
        image_channels, behaviours: C of an image, and F numbers of behaviour that are told.
        session_id: name of the session.
    """

    def __init__(
        self,
        weights: Weights,
        config: twin.Config,
        image_channels: int,
        behaviours: int,
        session_id: str = "",
    ):
        self.weights, self.config, self.session_id = weights, config, session_id
        self.image_channels, self.behaviours = image_channels, behaviours

    @property
    def num_neurons(self) -> int:
        """N."""
        return self.weights.rows["bias"].shape[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self.image_channels, self.config.image_height, self.config.image_width

    def of_neurons(self, neurons: Sequence[int] | np.ndarray) -> "Encoder":
        """The same with some of the neurons, in this order: what is asked of few costs little;
        raises InputError for anything but whole numbers from 0 to N - 1."""
        index = np.asarray(neurons)
        told, last = " ".join(str(neurons).split()), self.num_neurons - 1
        require(
            index.ndim == 1 and index.dtype.kind in "iu" and ((index >= 0) & (index <= last)).all(),
            f"neurons={told[:60]}; expected whole numbers from 0 to {last}",
        )
        units = {name for name, spec in twin.tables(self.config).items() if spec.rows == "unit"}
        rows = {n: a[:, index] if n in units else a for n, a in self.weights.rows.items()}
        parts = (self.config, self.image_channels, self.behaviours, self.session_id)
        return Encoder(self.weights._replace(rows=rows), *parts)

    def log_rates(self, images: jax.Array) -> jax.Array:
        """Log of the expected responses to images [n, C, H, W], float32 [n, N]; differentiable,
        without behaviour and pupil."""
        count = images.shape[0]
        behaviour = jnp.zeros((count, self.behaviours))
        return log_rates(
            self.weights, images, behaviour, jnp.full((count, 2), jnp.nan), self.config
        )

    def responses(
        self,
        images: np.ndarray,
        behaviour: np.ndarray | None = None,
        pupil_center: np.ndarray | None = None,
    ) -> np.ndarray:
        """Expected responses.

        Args:
            images: numbers [n, H, W] or [n, C, H, W]; for a twin that reads behaviour as channels
                also [n, C + F, H, W], the behaviour in the last F, as the public data have it.
            behaviour: numbers [n, F] or [F], in the unit trained on; default 0.
            pupil_center: numbers [n, 2] or [2]; default none, and nothing shifts.

        Returns:
            float32 [n, N], in the unit of the responses trained on.

        Raises:
            InputError: another shape, or values that are not finite.
        """
        shown, told = self._checked(images, behaviour)
        pupil = self._pupil(pupil_center, len(shown))
        found = np.empty((len(shown), self.num_neurons), np.float32)
        for first in range(0, len(shown), IMAGES_PER_PASS):
            part = slice(first, first + IMAGES_PER_PASS)
            # The last pass is filled up, so that all have one shape and are compiled once.
            filled = [_filled(one[part], IMAGES_PER_PASS) for one in (shown, told, pupil)]
            rates = _responses(self.weights, *filled, config=self.config)
            found[part] = np.asarray(rates)[: len(shown[part])]
        return found

    def _checked(self, images: Any, behaviour: Any) -> tuple[np.ndarray, np.ndarray]:
        """(images float32 [n, C, H, W], behaviour float32 [n, F])."""
        channels, height, width = self.image_shape
        shown = _numbers(images, "images")
        shown = shown[:, None] if shown.ndim == 3 else shown
        with_behaviour = channels + self.behaviours
        wanted = f"[n, {height}, {width}] or [n, {channels}, {height}, {width}]"
        require(
            shown.ndim == 4
            and shown.shape[2:] == (height, width)
            and shown.shape[1] in (channels, with_behaviour)
            and len(shown),
            f"images are {list(np.shape(images))}, expected {wanted}",
        )
        if shown.shape[1] != channels:
            require(
                behaviour is None and self.config.behaviour == "channels",
                f"images have {shown.shape[1]} channels and behaviour is given beside them; give "
                "one of the two",
            )
            flat = shown[:, channels:].reshape(len(shown), self.behaviours, -1)
            require(
                (flat == flat[..., :1]).all(),
                f"the last {self.behaviours} channels change over the image, expected behaviour, "
                "constant over it",
            )
            return shown[:, :channels], flat[..., 0]
        told = np.zeros(self.behaviours) if behaviour is None else _numbers(behaviour, "behaviour")
        return shown, self._each(told, len(shown), self.behaviours, "behaviour")

    def _pupil(self, pupil_center: Any, count: int) -> np.ndarray:
        if pupil_center is None:
            return np.full((count, 2), np.nan, np.float32)
        require(
            self.config.shifter_layers > 0,
            "pupil_center is given, but this twin has no shifter; leave it out",
        )
        return self._each(_numbers(pupil_center, "pupil_center"), count, 2, "pupil_center")

    def _each(self, values: np.ndarray, count: int, width: int, name: str) -> np.ndarray:
        if values.shape not in ((width,), (count, width)):
            raise InputError(
                f"{name} is {list(values.shape)}, expected [{count}, {width}] or [{width}]"
            )
        return np.broadcast_to(values, (count, width)).astype(np.float32)


def encoder_of(
    trees: Mapping[str, Any],
    config: twin.Config,
    entries: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    session_id: str | None = None,
) -> Encoder:
    """The encoder of one session of trained weights.

    Args:
        trees: "params", "tables" and "buffers" of a state.
        config: of models.twin.
        entries: session_id and num_units of all sessions, in row order.
        facts: see `Facts.to_record`.
        session_id: which; None where there is one alone.

    Raises:
        InputError: no such session, or several where none is named.
    """
    names = [entry["session_id"] for entry in entries]
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    require(
        session_id is not None or len(names) == 1,
        f"the twin has {len(names)} sessions ({listed}); name one with session_id",
    )
    name = names[0] if session_id is None else session_id
    require(name in names, f"the twin has no session {name!r}; choose from {listed}")
    number = names.index(name)
    first = sum(entry["num_units"] for entry in entries[:number])
    last = first + entries[number]["num_units"]
    specs = twin.tables(config)
    rows = {
        table: jnp.asarray(
            values[first:last] if specs[table].rows == "unit" else values[number], jnp.float32
        )[None]
        for table, values in trees["tables"].items()
    }
    weights = Weights(trees["params"], rows, trees["buffers"])
    weights = jax.tree.map(jnp.asarray, weights)
    return Encoder(weights, config, facts["num_channels"], facts.get("num_features", 0), name)


def log_rates(
    weights: Weights,
    images: jax.Array,
    behaviour: jax.Array,
    pupil_center: jax.Array,
    config: twin.Config,
) -> jax.Array:
    """Log of the expected responses, float32 [n, N]; arrays as of `Encoder`, one group of them."""
    inputs = StimulusInputs(images[None], behaviour[None], pupil_center[None])
    return twin.apply(weights, inputs, config, train=False).natural[0, :, 0]


@functools.partial(jax.jit, static_argnames="config")
def _responses(weights, images, behaviour, pupil_center, config):
    return jnp.exp(log_rates(weights, images, behaviour, pupil_center, config))


def _numbers(given: Any, name: str) -> np.ndarray:
    try:
        values = np.asarray(given)
        values = values.astype(np.float32) if values.dtype.kind in "biuf" else None
    except (ValueError, TypeError):
        values = None
    require(
        values is not None and values.ndim and np.isfinite(values).all(),
        f"{name} must be finite numbers, got an array or object of another kind or with NaN",
    )
    return values


def _filled(values: np.ndarray, count: int) -> np.ndarray:
    """Rows up to `count`, the last one repeated."""
    return np.pad(values, [(0, count - len(values))] + [(0, 0)] * (values.ndim - 1), mode="edge")
