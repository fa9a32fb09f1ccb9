"""A seed that no generator takes is refused by every verb in one line, before anything is read."""

import pytest

from neurojax import main
from neurojax.verb_options import seed
from neurojax.verbs import VERBS

WITH_SEED = [verb for verb, (_, *options) in VERBS.items() if any("--seed" in names for names, _ in options)]


@pytest.mark.parametrize("verb", WITH_SEED)
@pytest.mark.parametrize("value", ["-1", str(2**32), "99999999999999999999999", "1.5", ""])
def test_a_seed_that_is_none_is_refused(verb, value, capsys):
    assert main.main([verb, f"--seed={value}"]) == 2
    said = capsys.readouterr().err
    assert f"argument --seed: {value!r}; expected a number from 0 to 2**32 - 1" in said and said.count("\n") == 1


def test_the_smallest_and_the_largest_seed_are_taken():
    assert {"decode", "audit", "inspect", "scaling", "syllables", "encode"} <= set(WITH_SEED)
    assert (seed("0"), seed("4294967295")) == (0, 2**32 - 1)
