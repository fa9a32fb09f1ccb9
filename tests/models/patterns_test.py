"""Units watched in a few patterns: a matrix of each pattern infers what a matrix of each bin does."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.data.observed import pattern_bins
from neurojax.objectives import next_bin
from neurojax.objectives.interface import Query
from tests.models.ndt_test import LINEAR, B, G, N, T, make_batch, make_weights, outputs, random_read_out


def watched_in_patterns(number):
    """bool [G, B, T, N]: bins of every trial follow `number` patterns of its own; of each first trial a bin follows
    none."""
    rng = np.random.default_rng(1)
    patterns = rng.random((G, B, number, N)) < 0.6
    patterns[..., 0, 0] = True  # none is empty
    which = rng.integers(0, number, (G, B, T))
    which[..., :number] = np.arange(number)[::-1]
    observed = np.take_along_axis(patterns, which[..., None], axis=2)
    observed[:, 0, 3] = False
    return observed


def found_in(batch, query):
    """((log-rates, gradient with respect to counts), how many matrices are factorised)."""
    params, tables = jax.tree.map(jnp.asarray, make_weights(LINEAR))

    def summed(counts, batch):
        natural = outputs(params, tables, batch.with_trials(counts=counts), query, LINEAR).natural
        return jnp.sum(natural * random_read_out()[..., : natural.shape[-1]]), natural

    asked = functools.partial(jax.grad(summed, has_aux=True), batch.trials["counts"])
    shapes = re.findall(r"f32\[([\d,]+)\] = cholesky", str(jax.make_jaxpr(asked)(batch)))
    assert len(shapes) == 1
    return jax.jit(asked)(batch), np.prod([int(size) for size in shapes[0].split(",")[:-2]])


@pytest.mark.parametrize(("number", "one_unit"), [(1, False), (1, True), (3, False)])
def test_a_matrix_of_each_pattern_gives_what_one_of_each_bin_gives(number, one_unit):
    rng, observed = np.random.default_rng(0), watched_in_patterns(number)
    hidden_units, hidden_bins = rng.random((G, B, N)) < 0.2, rng.random((G, B, T)) < 0.2
    left_out = rng.integers(0, N, (G, B)).astype(np.int32) if one_unit else None
    if one_unit:
        hidden_units = np.arange(N) == left_out[..., None]
    query = Query(hidden_units, hidden_bins, np.ones((G, B), np.int32), left_out=left_out)
    batch = make_batch().with_trials(entry_valid=observed)
    slow, matrices = found_in(batch, query)
    assert matrices == G * B * T
    quick, matrices = found_in(batch.with_trials(pattern_bin=pattern_bins(observed, number)), query)
    assert matrices == G * B * number
    for ours, theirs in zip(quick, slow, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


def test_counts_of_the_bin_before_have_the_patterns_of_the_bin_before():
    """Next-bin prediction reads entries a bin later; the pattern of every bin that reads something is told."""
    observed = watched_in_patterns(3)
    observed[0, 1, T - 1] = ~observed[0, 1, 0]  # a pattern that only the last bin has
    batch = make_batch().with_trials(entry_valid=observed, pattern_bin=pattern_bins(observed, 4))
    query = Query(np.zeros((G, B, N), bool), np.zeros((G, B, T), bool), np.ones((G, B), np.int32))
    inputs = next_bin.inputs(batch, query, None)
    read = np.asarray(inputs.observed)
    told = np.take_along_axis(read, np.asarray(inputs.pattern_bin)[..., None], axis=2)  # [G, B, S, N]
    known = (read[:, :, :, None] == told[:, :, None]).all(-1).any(-1)
    assert (known | ~read.any(-1)).all() and read[:, :, 1:].any()
