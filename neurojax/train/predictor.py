"""A trained state as a function of (batch, query): what evaluation receives instead of a model."""

import copy
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import heads
from neurojax.batch import Batch
from neurojax.data import batching
from neurojax.data.batching import Layout
from neurojax.errors import require
from neurojax.models.interface import Outputs
from neurojax.objectives.interface import Query, asked_as
from neurojax.schemes import SCHEMES
from neurojax.train import forward, live, pass_memory, sharding
from neurojax.train import rollout as rollouts
from neurojax.train.step import Model, Objective


class Recipe(NamedTuple):
    """What a prediction needs of a run's recipe; see `train.step.Recipe`."""

    model: Model
    objective: Objective
    head: str = "poisson"
    members: int = 1


class Predictor:
    """Predicts with fixed weights, jitted once per padded width.

    Attributes:
        params, tables, buffers: on the devices, float32; of an ensemble with the members as first
            axis.
        recipe: model, objective, head and members.
        layout: where sessions live in the tables; None of a source without such rows.
        bucket_units: padding of the unit axis.
        source_config: what a batch is, see data.sources.
        facts: what the manifest keeps of the data trained on, `Facts.to_record`.
        num_samples: draws of the posterior whose mean rate is the answer where a call names no
            number; 0 follows the posterior's means.
        schemes: names of those the weights were trained with; all, of a model without schemes.
        infers: names of the extras that say what a trial's latents cost, nats; () without latents.
        on_accelerator: computed on something else than a CPU.
        hides_by_zeroing: hiding a unit changes the input by zeroing its counts and in no other way,
            so hiding a unit that is silent in a trial changes nothing.
    """

    def __init__(
        self,
        params: Any,
        tables: dict,
        recipe: Recipe,
        layout: Layout | None,
        bucket_units: int = 1,
        mesh=None,
        buffers=None,
        source_config: Any = None,
        facts: Mapping[str, int] | None = None,
        num_samples: int = 0,
    ):
        self.recipe, self.layout, self.bucket_units = recipe, layout, bucket_units
        self.source_config, self.facts = source_config, dict(facts or {})
        self.schemes = tuple(getattr(recipe.objective.config, "schemes", SCHEMES))
        self.infers, self.num_samples = getattr(recipe.model.module, "INFERS", ()), num_samples
        require(
            num_samples == 0 or (num_samples > 0 and self.infers),
            f"eval.num_samples={num_samples} of model.name={recipe.model.name}; expected 0, or a "
            "number of draws of a model that infers latents, such as lfads",
        )
        # A promise by name; without it every hidden unit takes a pass of its own, silent or not.
        self.hides_by_zeroing = getattr(recipe.model.module, "HIDES_BY_ZEROING", False)
        self._mesh = sharding.make_mesh(0, 1) if mesh is None else mesh
        self.on_accelerator = self._mesh.devices.flat[0].platform != "cpu"
        placed = jax.device_put((params, tables, buffers or {}), sharding.replicated(self._mesh))
        self.params, self.tables, self.buffers = placed
        # The weights are an argument of the program: as constants each program would hold a copy.
        self._outputs = _program(recipe)

    @property
    def goes_on(self) -> bool:
        """Whether `rollout` and `live` can be asked of it."""
        return rollouts.is_streamed(self.recipe)

    @property
    def goes_on_reason(self) -> str:
        """Why not, of a run that predicts the next bin; "" of others."""
        return rollouts.why_not_streamed(self.recipe)

    @functools.cached_property
    def each_member(self) -> list["Predictor"]:
        """The members of an ensemble one by one, which share one program; of one model itself."""
        if self.recipe.members == 1:
            return [self]
        recipe = self.recipe._replace(members=1)
        found = []
        for number in range(self.recipe.members):
            member = copy.copy(self)
            member.recipe, member._outputs = recipe, _program(recipe)
            trained = (self.params, self.tables, self.buffers)
            member.params, member.tables, member.buffers = _one_of(trained, number)
            found.append(member)
        return found

    def asked_as(self, scheme: int) -> int:
        """See `objectives.interface.asked_as`; models without schemes take any."""
        return asked_as(scheme, self.schemes)

    def pass_size(self, num_units: int, *, memory_mb: int, at_most: int) -> pass_memory.PassSize:
        """Trials of a forward pass over `num_units` units, see `pass_memory.trials_that_fit`."""
        return pass_memory.trials_that_fit(
            self.recipe.model.config,
            self.layout.num_bins,
            batching.padded_width(num_units, self.bucket_units),
            memory_mb=memory_mb,
            at_most=at_most,
            num_devices=self._mesh.shape["data"],
            members=self.recipe.members * max(self.num_samples, 1),
            all_observed=self.layout.all_observed,
            num_patterns=self.layout.num_patterns,
        )

    def __call__(self, batch: Batch, query: Query, *, num_samples: int = 1, key=None) -> Outputs:
        """Natural parameters, states and extras of a batch; see `forward.outputs` for samples."""
        return self._compute(batch, query, "natural, states and extras", num_samples, key)

    def mean(self, batch: Batch, query) -> jax.Array:
        """The expected target: spikes per bin, or the probability of each class."""
        return heads.named(self.recipe.head).mean(self._compute(batch, query, "natural").natural)

    def nats(self, batch: Batch, query) -> jax.Array:
        """-log of the probability of every target entry: float32 nats, the shape of the target."""
        return self._compute(batch, query, "nats").natural

    def log_rates(self, batch: Batch, query: Query) -> jax.Array:
        """All units: float32 [G, b, T, N], log of the expected spikes per bin."""
        natural = self._compute(batch, query, "natural").natural
        return heads.named(self.recipe.head).log_mean(natural)

    def log_rates_of_unit(self, batch: Batch, query: Query, unit: np.ndarray) -> jax.Array:
        """One unit per trial, G = 1: unit int32 [b] -> float32 [b, T].

        All trials see the same units, each but its own `unit`.
        """
        # [b, T, 1 or N]
        natural = self.log_rates(batch, query._replace(left_out=np.asarray(unit)[None]))[0]
        # Models that read `left_out` answer for that unit alone; of others it is picked here.
        if natural.shape[-1] == 1:
            return natural[..., 0]
        return jnp.take_along_axis(natural, jnp.asarray(unit)[:, None, None], axis=-1)[..., 0]

    @property
    def reads_sums(self) -> bool:
        """Whether `log_rates_of_pairs` can be asked of it."""
        observed = self.layout is not None and self.layout.all_observed
        is_one = self.recipe.members == 1 and not self.infers
        return observed and is_one and hasattr(self.recipe.model.module, "from_latents")

    def log_rates_of_pairs(
        self, batch: Batch, query: Query, place: np.ndarray, unit: np.ndarray
    ) -> jax.Array:
        """`log_rates_of_unit` of many units of few trials: float32 [P, T].

        Args:
            batch, query: R trials of one session, and what all of their pairs see.
            place: int32 [P], of a pair's trial among R.
            unit: int32 [P], hidden beside.
        """
        trained = (self.params, self.tables, self.buffers)
        shown = jax.device_put((batch, query), sharding.replicated(self._mesh))
        pairs = (np.asarray(of_pair)[None] for of_pair in (place, unit))
        split = (jax.device_put(leaf, sharding.trial_sharding(self._mesh, leaf)) for leaf in pairs)
        return _log_rates_of_pairs(trained, *shown, *split, self.recipe)

    def rollout(
        self, batch: Batch, prompt_bins: int, num_bins: int, *, num_samples: int = 0, key=None
    ) -> rollouts.Rollout:
        """What the model itself makes of the bins after the first of every trial, which it reads.

        Args:
            batch: trials; counts from bin `prompt_bins` on are not read.
            prompt_bins: bins of each trial to read, from 0 (nothing is known of the trial) on.
            num_bins: H, bins to go on.
            num_samples, key: so many continuations, drawn with this key; 0 follows the mean.

        Raises:
            InputError: a run that cannot go bin by bin, or that never saw trials as long.
        """
        rollouts.require_streamed(self.recipe)
        room = self.layout.num_bins
        require(
            prompt_bins >= 0 and num_bins >= 1 and prompt_bins + num_bins <= room,
            f"{prompt_bins} bins to read and {num_bins} to go on; expected at least 0 and 1, and "
            f"together no more than the {room} bins of the longest trial",
        )
        require(
            num_samples == 0 or key is not None, f"num_samples={num_samples} needs a key, got none"
        )
        trained = (self.params, self.tables, self.buffers)
        placed = jax.device_put((batch, np.int32(prompt_bins)), sharding.replicated(self._mesh))
        size = {"room": room, "num_bins": num_bins, "num_samples": num_samples}
        return _rollout(trained, *placed, key, self.recipe, **size)

    def trials_of_rollout(
        self, batch: Batch, num_bins: int, *, num_samples: int, memory_mb: int, at_most: int
    ) -> int:
        """Trials that `rollout` can go on with at once: `at_most`, or as many as memory holds.

        Args:
            batch: of one group, of any number of trials.
            num_bins, num_samples: as of `rollout`.
            memory_mb: of each device; all of them hold all trials.

        Raises:
            InputError: not one trial fits.
        """
        trained = (self.params, self.tables, self.buffers)
        size = rollouts.bytes_per_trial(
            trained,
            batch.groups,
            self.recipe,
            room=self.layout.num_bins,
            num_bins=num_bins,
            num_samples=num_samples,
        )
        return min(at_most, pass_memory.number_that_fits(size, memory_mb, "one trial that goes on"))

    def live(self, session_id: str) -> live.Live:
        """A trial of a session as it comes in, bin by bin."""
        trained = (self.params, self.tables, self.buffers)
        device = self._mesh.devices.flat[0]  # a bin is too little to divide
        asked = (self.recipe, self.layout, self.bucket_units, session_id)
        return live.Live(jax.device_put(trained, device), *asked)

    def rows_of_head(self, session_id: str) -> dict[str, np.ndarray]:
        """What the head's likelihood takes of the units of a session: table -> float32 [N], or []
        of the session; of an ensemble the mean. {} for most heads."""
        place = self.layout.session_ids.index(session_id)
        first = self.layout.first_row[place]
        where = {
            "unit": slice(first, first + self.layout.num_units[place]),
            "session": self.layout.session_row[place],
        }
        found = {}
        for name, row in heads.named(self.recipe.head).rows.items():
            table = np.asarray(self.tables[name])
            table = table if self.recipe.members == 1 else table.mean(0)
            found[name] = table[where[row.rows]]
        return found

    def latents(self, batch: Batch, query: Query) -> jax.Array:
        """States of all bins, float32 [G, b, T, D]: after the final norm, before the read-out."""
        return self._compute(batch, query, "states").states

    @property
    def answers_states(self) -> bool:
        """Whether `log_rates_of_states` can be asked of it."""
        return self.recipe.members == 1 and hasattr(self.recipe.model.module, "answers")

    def log_rates_of_states(self, batch: Batch, query: Query, states) -> jax.Array:
        """All units as they are read out of other states than the model's own: float32
        [G, b, T, D] -> [G, b, T, N]."""
        trained = (self.params, self.tables, self.buffers)
        placed = self._placed(batch, (query, states))
        return _log_rates_of_states(trained, *placed, self.recipe)

    def _placed(self, batch: Batch, of_trials):
        """(batch, arrays [G, b, ...]) on the devices."""

        # Leaves of a query are [G, b, ...], as those of trials, and lie where these lie.
        def place(leaf):
            return jax.device_put(leaf, sharding.trial_sharding(self._mesh, leaf))

        # Evaluation divides trials over the devices; every device has all weights.
        batch = jax.device_put(batch, sharding.batch_shardings(self._mesh, batch))
        return batch, *jax.tree.map(place, of_trials)

    def _compute(
        self, batch: Batch, query: Query, wanted: str, num_samples: int = 1, key=None
    ) -> Outputs:
        if key is None and self.num_samples:
            num_samples, key = self.num_samples, jax.random.key(0)  # the same draws at every call

        batch, placed = self._placed(batch, (query,))
        trained = (self.params, self.tables, self.buffers)
        return self._outputs(trained, batch, placed, key, wanted=wanted, num_samples=num_samples)


_rollout = jax.jit(rollouts.rollout, static_argnames=("recipe", "room", "num_bins", "num_samples"))


@functools.partial(jax.jit, static_argnames="recipe")
def _log_rates_of_states(trained, batch: Batch, query: Query, states, recipe: Recipe):
    natural = forward.of_states(trained, batch, query, states, recipe).natural
    return heads.named(recipe.head).log_mean(natural)


@functools.partial(jax.jit, static_argnames="recipe")
def _log_rates_of_pairs(trained, batch: Batch, query: Query, place, unit, recipe: Recipe):
    natural = forward.of_pairs(trained, batch, query, place, unit, recipe)
    return heads.named(recipe.head).log_mean(natural)[0, :, :, 0]


@jax.jit
def _one_of(trained: Any, number: int) -> Any:
    """One entry of the first axis of every array."""
    return jax.tree.map(lambda leaf: leaf[number], trained)


@functools.lru_cache(maxsize=32)
def _program(recipe: Recipe):
    """`_outputs` under jit; predictors of one recipe share what is compiled."""
    static = ("wanted", "num_samples")
    return jax.jit(functools.partial(_outputs, recipe=recipe), static_argnames=static)


def _outputs(
    trained, batch: Batch, query: Query, key, recipe: Recipe, wanted: str, num_samples: int
) -> Outputs:
    outputs = forward.outputs(trained, batch, query, recipe, num_samples=num_samples, key=key)
    # What is not returned is not computed: XLA drops the read-out of a pass for latents.
    natural = outputs.natural if "natural" in wanted else None
    if wanted == "nats":  # reduced here: logits over a vocabulary are too large to bring home
        target = recipe.objective.module.target(batch)
        natural = heads.named(recipe.head).nll(outputs.natural, target)
    states = (
        outputs.states.astype(jnp.float32)
        if "states" in wanted and outputs.states is not None
        else None
    )
    return Outputs(natural, states, outputs.extras if "extras" in wanted else {})
