"""The recurrent cell against its equations, and passes that padding must not touch."""

import jax
import numpy as np

from neurojax.models import gru

T, B, H = 5, 3, 6
NUM_INPUTS = 4
CELLS = {
    name: jax.tree.map(lambda leaf: leaf + 0.1, gru.init(jax.random.key(seed), NUM_INPUTS, H))
    for seed, name in enumerate(("forward", "backward"))
}
both_directions = jax.jit(gru.both_directions)


def sequence() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((T, B, NUM_INPUTS)).astype(np.float32)


def step_by_hand(cell, state, entries):
    """One step for one trial, gate by gate."""
    cell = jax.tree.map(np.asarray, cell)
    names = ("reset", "update", "candidate")
    of_inputs = dict(zip(names, np.split(entries @ cell["input"]["kernel"], 3), strict=True))
    of_bias = dict(zip(names, np.split(cell["input"]["bias"], 3), strict=True))
    of_state = dict(zip(names, np.split(state @ cell["recurrent"]["kernel"], 3), strict=True))
    known = {name: of_inputs[name] + of_bias[name] for name in names}
    reset, update = (1 / (1 + np.exp(-known[n] - of_state[n])) for n in ("reset", "update"))
    candidate = np.tanh(known["candidate"] + reset * of_state["candidate"])
    return update * state + (1 - update) * candidate


def test_both_directions_follow_the_equations_bin_by_bin():
    entries = sequence()
    states, last = map(np.asarray, both_directions(CELLS, entries, np.ones((T, B), bool)))
    for trial in range(B):
        forward, backward = np.zeros(H), np.zeros(H)
        for t in range(T):
            forward = step_by_hand(CELLS["forward"], forward, entries[t, trial])
            np.testing.assert_allclose(states[t, trial, :H], forward, atol=1e-5)
        for t in reversed(range(T)):
            backward = step_by_hand(CELLS["backward"], backward, entries[t, trial])
            np.testing.assert_allclose(states[t, trial, H:], backward, atol=1e-5)
        np.testing.assert_allclose(last[trial], [*forward, *backward], atol=1e-5)


def test_padded_bins_leave_the_state_alone():
    entries, bin_valid = sequence(), np.ones((T, B), bool)
    entries[3:, 1], bin_valid[3:, 1] = 99.0, False  # junk past the end of one trial
    states, last = map(np.asarray, both_directions(CELLS, entries, bin_valid))
    short, last_of_short = both_directions(CELLS, entries[:3], bin_valid[:3])
    np.testing.assert_allclose(states[:3, 1], short[:, 1], atol=1e-6)
    np.testing.assert_allclose(last[1], last_of_short[1], atol=1e-6)


def test_a_new_cell_keeps_more_of_its_state_than_it_replaces():
    cell = gru.init(jax.random.key(0), NUM_INPUTS, H)
    state = gru.step(cell, np.full((B, H), 1e-3), gru.drive(cell, np.zeros((B, NUM_INPUTS))))
    np.testing.assert_allclose(np.asarray(state) / 1e-3, 0.73, atol=0.3)  # sigmoid(1), and a rest
