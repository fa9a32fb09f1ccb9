"""Programs of a new run are compiled beside its first state, once each; a finished run compiles none."""

import dataclasses
import threading
import time

import jax
import pytest

from neurojax import start
from neurojax.errors import InputError
from neurojax.train import ahead, loop
from tests.configs_for_tests import loop_config

COMPILED = "/jax/core/compile/backend_compile_duration"
OURS = ("jit(step_of)", "jit(_sums)")


@pytest.fixture
def compiled():
    """(Program, whether a thread of `ahead` compiled it) while the test runs, as in a new process."""
    found = []
    jax.clear_caches()

    def listen(event, duration_s, **facts):
        if event == COMPILED and facts["fun_name"] in OURS:
            found.append((facts["fun_name"], threading.current_thread().name.startswith("compiling")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_run_finds_its_programs_compiled_and_a_finished_one_asks_for_none(recipe, source, compiled, tmp_path):
    recipe = dataclasses.replace(recipe, num_steps=2)
    often = loop_config(log_every_steps=1, save_every_steps=2, validate_every_steps=1, num_threads=0, mesh_data=1)
    loop.train(recipe, source, often, tmp_path, {})
    assert sorted(name for name, _ in compiled) == ["jit(_sums)", "jit(step_of)"]
    assert ("jit(step_of)", True) in compiled  # a validation may be asked for before its turn
    jax.clear_caches()
    loop.train(recipe, source, often, tmp_path, {}, log=lambda line: None)
    assert len(compiled) == 2


def test_the_block_ends_when_the_first_is_compiled_and_not_by_what_does_not_compile():
    done = []
    with ahead.compiled(lambda: (time.sleep(0.1), done.append(1)), lambda: 1 / 0):
        pass
    assert done


def test_after_a_refusal_nothing_more_is_compiled():
    ran, started = [], threading.Event()
    with pytest.raises(InputError), ahead.compiled(lambda: (started.set(), time.sleep(0.2)), lambda: ran.append(1)):
        started.wait()
        raise InputError("no")
    for thread in threading.enumerate():
        if thread.name.startswith(ahead.NAME):
            thread.join()
    assert not ran


@pytest.mark.parametrize("code, is_left", [(2, True), (0, False)])
def test_a_command_that_is_refused_does_not_wait_for_what_is_compiled(code, is_left, monkeypatch):
    left, go = [], threading.Event()
    monkeypatch.setattr(start.signal, "signal", lambda *given: None)
    monkeypatch.setattr(start.os, "_exit", left.append)
    with ahead.compiled(lambda: None, go.wait):
        pass
    assert start.finished(code) == code
    go.set()
    assert bool(left) == is_left
