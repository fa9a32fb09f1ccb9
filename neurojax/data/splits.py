"""Which trials train, validate and test: at random, or in interleaved blocks of time."""

import numpy as np

from neurojax.errors import InputError
from neurojax.types import SPLIT_NAMES, TEST, TRAIN, VALIDATION

FRACTIONS = (0.7, 0.1, 0.2)  # train, validation, test


def random_split(num_trials: int, seed: int, where: str) -> np.ndarray:
    """Draws 70/10/20, at least one trial each, int8 [num_trials].

    Raises:
        InputError: fewer than three trials.
    """
    if num_trials < len(SPLIT_NAMES):
        raise InputError(
            f"{where}: {num_trials} trial{'s' * (num_trials != 1)}, expected at least 3: one each to train,"
            " validate and test; cut shorter windows or give a split"
        )
    num_validation = max(1, round(FRACTIONS[VALIDATION] * num_trials))
    num_test = max(1, round(FRACTIONS[TEST] * num_trials))
    split = np.full(num_trials, TRAIN, np.int8)
    order = np.random.default_rng(seed).permutation(num_trials)
    split[order[:num_test]] = TEST
    split[order[num_test : num_test + num_validation]] = VALIDATION
    return split


def block_split(trial_start_s: np.ndarray, block_s: float, where: str) -> np.ndarray:
    """Gives whole blocks of `block_s` seconds to one split each, interleaved, near 70/10/20 of the trials.

    Neighbouring trials share slow drift, which a random split leaks from train to test;
    blocks keep them together. In time order each block goes to the split that is
    furthest behind its share, so all three are spread over the recording.

    Returns:
        int8 [trials].

    Raises:
        InputError: too few blocks for one each.
    """
    block = np.floor((trial_start_s - trial_start_s.min()) / block_s).astype(np.int64)
    split = np.full(len(block), TRAIN, np.int8)
    assigned, seen = np.zeros(len(FRACTIONS)), 0
    for index in np.unique(block):
        members = block == index
        seen += int(members.sum())
        chosen = int(np.argmax(np.asarray(FRACTIONS) * seen - assigned))
        split[members] = chosen
        assigned[chosen] += int(members.sum())
    if missing := [SPLIT_NAMES[i] for i in range(len(FRACTIONS)) if assigned[i] == 0]:
        raise InputError(
            f"{where}: {len(np.unique(block))} blocks of {block_s:g} s leave no trial for"
            f" {' and '.join(missing)}; take shorter blocks or split at random"
        )
    return split
