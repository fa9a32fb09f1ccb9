"""Memorised text: bytes after compression over perplexity, and how two sets of ratios compare."""

import zlib

import numpy as np
import pytest

from neurojax.analysis import memorisation
from neurojax.errors import InputError


def test_bytes_are_those_of_utf8_after_zlib():
    text = "Neurone feuern für µs. " * 20
    assert memorisation.compressed_bytes(text) == len(zlib.compress(text.encode("utf-8")))
    assert memorisation.compressed_bytes(text) < len(text) / 4


def test_the_ratio_is_of_bytes_to_perplexity():
    np.testing.assert_allclose(memorisation.ratio(np.array([300, 300]), np.array([2.0, 10.0])), [150, 30])
    with pytest.raises(InputError, match="below 1"):
        memorisation.ratio(np.array([1]), np.array([0.5]))


def test_how_often_one_set_is_above_another():
    assert memorisation.share_above(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert memorisation.share_above(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5
