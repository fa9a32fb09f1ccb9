"""CTC: nats, greedy and beam search equal all paths written out; the error rate a worked example."""

import itertools

import jax
import numpy as np
import pytest

from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import ctc as objective
from neurojax.scores import ctc

BINS, SYMBOLS = 4, 3  # a blank and two


def spelled(path):
    """Repeats merged, blanks out."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def by_enumeration(log_probability):
    """text -> log-probability over all paths."""
    found = {}
    for path in itertools.product(range(log_probability.shape[1]), repeat=len(log_probability)):
        nats = sum(log_probability[place, symbol] for place, symbol in enumerate(path))
        found[spelled(path)] = np.logaddexp(found.get(spelled(path), -np.inf), nats)
    return found


def drawn(seed, bins=BINS):
    logits = 2 * np.random.default_rng(seed).standard_normal((bins, SYMBOLS))
    return logits, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@jax.jit
def sums_of(logits, symbols, bin_valid):
    batch = Batch({"values": None, "bin_valid": bin_valid, "symbols": symbols}, {})
    asked = (Weights({}, {}), batch, (), 0, jax.random.key(0), objective.Config())
    found = objective.loss(lambda weights, inputs, key: Outputs(logits), None, *asked)
    return found.numerator, found.weight


def test_nats_are_those_of_all_paths_and_padding_is_none():
    texts = [(1,), (1, 1), (1, 2, 1), (), (2, 1)]
    logits = np.stack([drawn(seed)[0] for seed in range(5)])
    symbols = np.full((5, 3), -1, np.int32)
    for row, text in enumerate(texts):
        symbols[row, : len(text)] = text
    valid = np.ones((5, BINS), bool)
    valid[4, 3] = False  # a shorter window
    logits[4, 3] = 50.0
    expected = [by_enumeration(drawn(seed)[1])[text] for seed, text in enumerate(texts[:3])]
    expected.append(by_enumeration(drawn(4)[1][:3])[(2, 1)])  # the one without a text is not asked
    nats, number = sums_of(logits[None], symbols[None], valid[None])
    np.testing.assert_allclose(nats, -sum(expected), rtol=1e-5)
    assert number == 1 + 2 + 3 + 2
    assert objective.scores([(8, 4.0), (2, 6.0)]) == {"nats": 1.0} and objective.scores([(0, 0.0)]) == {}


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_text_and_its_probability(seed):
    _, log_probability = drawn(seed, 5)
    every = by_enumeration(log_probability)
    best = max(every, key=every.get)
    text, nats = ctc.beam_search(log_probability, width=10_000)
    assert tuple(text) == best and nats == pytest.approx(every[best])
    path = tuple(log_probability.argmax(1))
    assert tuple(ctc.greedy(log_probability)) == spelled(path)
    narrow, _ = ctc.beam_search(log_probability, width=1)
    assert tuple(narrow) in every


def test_a_beam_sums_paths_where_the_greedy_reader_follows_one():
    log_probability = np.log([[0.6, 0.4], [0.6, 0.4]])  # blank blank 0.36; one symbol 0.16 + 0.24 + 0.24
    assert ctc.greedy(log_probability) == []
    text, nats = ctc.beam_search(log_probability, width=4)
    assert text == [1] and np.exp(nats) == pytest.approx(0.64)
    with pytest.raises(InputError, match="width=0; expected at least 1"):
        ctc.beam_search(log_probability, 0)
    with pytest.raises(InputError, match="expected numbers .T, K."):
        ctc.greedy(np.zeros(3))


def test_the_error_rate_of_a_worked_example():
    assert ctc.edit_distance([1, 2, 3], [2, 3, 4, 4]) == 3  # delete 1, add 4 twice
    assert ctc.edit_distance([], [1, 2]) == ctc.edit_distance([1, 2], []) == 2
    assert ctc.character_error_rate([[1, 2, 3], [5]], [[2, 3, 4, 4], [5]]) == pytest.approx(3 / 5)
    assert ctc.character_error_rate([[1, 1, 1]], [[2]]) == 3.0
    with pytest.raises(InputError, match="1 texts were found, 2 are right"):
        ctc.character_error_rate([[1]], [[1], [2]])
    with pytest.raises(InputError, match="have no symbol"):
        ctc.character_error_rate([[1]], [[]])
