"""The memory that --dry_run tells is near what XLA allots for the compiled step."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.commands import config as declarations
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.train import description, loop, run, settings, sharding, step_memory
from neurojax.train.step import run_step

CONFIG = Path(__file__).parents[2] / "configs" / "mtm.py"
SESSIONS = synthetic.make_sessions(synthetic.SyntheticSpec(num_sessions=2, num_trials=60), seed=0)
FIELDS = ("data.sessions_per_batch=1", "model.num_layers=1")
MESH = sharding.make_mesh(1, 1, jax.devices()[:1])


def parts_of(*fields: str):
    """(recipe, state, largest batch) of configs/mtm.py with these fields, on one device."""
    words = [f"--config={CONFIG}", *(f"--config.{field}" for field in (*FIELDS, *fields))]
    config = declarations.load(words)
    recipe, source = settings.recipe(config), settings.open_source(config, SESSIONS)
    state = loop.abstract_state(recipe, source.facts, MESH)
    return recipe, state, source.largest_batch()


@pytest.mark.parametrize(
    "parts, fields",
    [(1, ()), (4, ("model.remat=block", "members=3"))],
    ids=["whole", "members in parts"],
)
def test_the_estimate_is_near_what_a_compiled_step_allots(parts, fields):
    recipe, state, batch = parts_of(*fields)
    found = step_memory.of_step(recipe, state, batch, parts)
    step = jax.jit(functools.partial(run_step, recipe=recipe, parts=parts), donate_argnums=0)
    allotted = step.lower(state, batch).compile().memory_analysis()
    whole = allotted.argument_size_in_bytes + allotted.temp_size_in_bytes
    whole += allotted.output_size_in_bytes - allotted.alias_size_in_bytes
    assert whole / step_memory.FACTOR < found.total() < whole * step_memory.FACTOR
    temporary = allotted.temp_size_in_bytes
    assert temporary / step_memory.FACTOR < found.temporary < temporary * step_memory.FACTOR
    held = allotted.argument_size_in_bytes
    assert abs(found.state + found.batch - held) < 0.02 * held


def test_less_is_alive_in_parts_and_on_more_devices():
    recipe, state, batch = parts_of()
    whole, in_parts = (step_memory.of_step(recipe, state, batch, parts) for parts in (1, 4))
    assert in_parts.temporary < 0.5 * whole.temporary and in_parts.state == whole.state
    shared = step_memory.of_step(recipe, state, batch, 1, data_devices=2)
    assert shared.temporary == whole.temporary // 2 and shared.state == whole.state


def test_an_ensemble_takes_as_many_times_the_memory():
    one, three = (step_memory.of_step(*parts_of(f"members={members}"), 1) for members in (1, 3))
    assert three.state == 3 * one.state and three.batch == one.batch
    assert three.temporary == pytest.approx(3 * one.temporary, rel=0.1)


def test_an_array_lives_from_where_it_is_made_to_where_it_is_last_read():
    """Two products of which one is needed at the end, and a chain of elementwise steps that never reaches memory."""

    def program(square):
        first = square @ square
        second = first @ square
        chain = jnp.exp(jnp.sin(second) + 1.0)
        return chain.sum() + first.sum()

    size = 4 * 64 * 64
    peak = step_memory.peak_bytes(jax.make_jaxpr(program)(np.ones((64, 64), np.float32)).jaxpr)
    assert 2 * size <= peak < 2.1 * size


def test_a_loop_counts_one_round_of_what_it_makes_inside():
    def program(rows):
        def add(total, row):
            return total + (row[:, None] @ row[None]).sum(), None  # [64, 64] inside

        return jax.lax.scan(add, jnp.float32(0), rows)[0]

    peak = step_memory.peak_bytes(jax.make_jaxpr(program)(np.ones((100, 64), np.float32)).jaxpr)
    assert 4 * 64 * 64 <= peak < 2 * 4 * 64 * 64


def test_a_dry_run_tells_it_with_units():
    words = [f"--config={CONFIG}", *(f"--config.{field}" for field in (*FIELDS, "data.placement=device"))]
    config = declarations.load(words)
    recipe, source = settings.recipe(config), settings.open_source(config, SESSIONS)
    line = description.estimated(recipe, source, settings.loop_config(config)).splitlines()[0]
    whole, state, batch, temporary, counts = (
        float(number.replace(",", ""))
        for number in re.fullmatch(
            r"memory: about ([\d,]+) MiB on each device at the peak of a step \(state ([\d.]+), batch ([\d.]+), "
            r"activations and gradients ([\d.]+), counts ([\d.]+); within a factor of 1.5\)",
            line,
        ).groups()
    )
    expected = sum(session.counts.size for session in dataset_of(SESSIONS).sessions) / 2**20
    assert counts == pytest.approx(expected, abs=0.06)
    assert whole == pytest.approx(state + batch + temporary + counts, abs=0.8)


def test_a_step_that_no_device_holds_is_refused_with_the_way_out():
    config = declarations.load([f"--config={CONFIG}", *(f"--config.{field}" for field in FIELDS)])
    recipe, driven = settings.recipe(config), settings.loop_config(config)
    source = settings.open_source(config, SESSIONS)
    size = description.memory(recipe, source, driven)
    description.require_room(recipe, source, driven, room=size.total())
    half = int(size.total() / step_memory.FACTOR / 2)
    with pytest.raises(InputError, match=r"set train\.microbatches=\d+"):
        description.require_room(recipe, source, driven, room=half)
    with pytest.raises(InputError, match="convert shorter trials"):
        description.require_room(recipe, source, driven, room=size.state)


def test_trials_of_twenty_thousand_bins_are_refused_before_anything_is_written(tmp_path):
    """Attention over all pairs of bins of 16 such trials would take terabytes."""
    rng = np.random.default_rng(0)
    session = from_counts(
        rng.poisson(0.1, (20, 20_000, 4)), bin_size_s=0.02, session_id="long", split=np.arange(20) % 3
    )
    config = declarations.load([f"--config={CONFIG}", "--config.data.bucket_units=8"])
    with pytest.raises(InputError, match="a step takes about .* MiB on each device"):
        run.train(config, tmp_path / "run", dataset=dataset_of([session]), log=lambda line: None)
    assert not (tmp_path / "run").exists()
