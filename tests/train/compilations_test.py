"""A run compiles one program for each shape of batch, all of them in its first steps."""

import dataclasses

import jax
import pytest

from neurojax.data import pipeline
from neurojax.data.sources import spikes
from neurojax.train import loop
from tests import configs_for_tests

COMPILED = "/jax/core/compile/backend_compile_duration"  # also where a program comes from the persistent cache
BATCHES = configs_for_tests.batching_config(sessions_per_batch=2, trials_per_batch=8, bucket_units=8)


@pytest.fixture
def compiled():
    """Names of the programs compiled while the test runs, as in a new process."""
    names = []
    jax.clear_caches()  # runs of one recipe share their programs

    def listen(event, duration_s, **facts):
        if event == COMPILED:
            names.append(facts["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


AT_ONCE = dict(placement="device", steps_per_dispatch=3)


@pytest.mark.parametrize(
    "num_steps, how",
    [
        pytest.param(6, {}, marks=pytest.mark.slow),
        pytest.param(24, {"mesh_data": 1}, marks=pytest.mark.slow),
        pytest.param(24, {"mesh_data": 1, **AT_ONCE}, marks=pytest.mark.slow),
    ],
)
def test_nothing_compiles_once_every_shape_was_seen(num_steps, how, recipe, dataset, compiled, tmp_path, monkeypatch):
    """Steps, validations, lines and saves of a run over sessions of two padded sizes."""
    recipe = dataclasses.replace(recipe, num_steps=num_steps)
    source = spikes.open_source(dataset.sessions, BATCHES, recipe.seed)
    widths = [source.plan(index).width for index in range(num_steps)]
    assert widths[:3] == [24, 32, 32] and len(source.shapes()) == 2
    real, compiled_before = pipeline.stream, []

    def stream(*args, **options):
        for made in real(*args, **options):
            compiled_before.append(len(compiled))
            yield made

    monkeypatch.setattr(pipeline, "stream", stream)
    often = configs_for_tests.loop_config(
        log_every_steps=2, save_every_steps=4, validate_every_steps=3, num_threads=0, **how
    )
    loop.train(recipe, source, often, tmp_path, {})
    steps = [name for name in compiled if name in ("jit(step_of)", "jit(steps_of)")]
    assert len(steps) == compiled.count("jit(_sums)") == len(source.shapes())
    ours = {"jit(step_of)", "jit(steps_of)", "jit(_sums)"}  # orbax cuts arrays for its first save
    assert not ours & set(compiled[compiled_before[3] :])
