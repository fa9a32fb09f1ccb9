"""Which trials train, validate and test, at random or in blocks; which of them share time."""

import hashlib

import numpy as np

from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.errors import InputError, require

UNUSED = -1  # a trial that a run leaves out; only in memory, never in a session folder

FRACTIONS = (0.7, 0.1, 0.2)  # train, validation, test


def random_split(num_trials: int, seed: int, where: str) -> np.ndarray:
    """Draws 70/10/20, at least one trial each, int8 [num_trials].

    Raises:
        InputError: fewer than three trials.
    """
    require(
        num_trials >= len(SPLIT_NAMES),
        f"{where}: {num_trials} trial{'s' * (num_trials != 1)}, expected at least 3: one each to "
        "train, validate and test; cut shorter windows or give a split",
    )
    # At least one each: three trials are split one, one, one.
    num_validation = max(1, round(FRACTIONS[VALIDATION] * num_trials))
    num_test = max(1, round(FRACTIONS[TEST] * num_trials))
    split = np.full(num_trials, TRAIN, np.int8)
    order = np.random.default_rng(seed).permutation(num_trials)
    split[order[:num_test]] = TEST
    split[order[num_test : num_test + num_validation]] = VALIDATION
    return split


def block_split(trial_start_s: np.ndarray, block_s: float, where: str) -> np.ndarray:
    """Gives whole blocks of `block_s` seconds to train, validation and test, near 70/10/20.

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
        # Whole blocks, greedily: exact shares would need to cut a block in two.
        chosen = int(np.argmax(np.asarray(FRACTIONS) * seen - assigned))
        split[members] = chosen
        assigned[chosen] += int(members.sum())
    if missing := [SPLIT_NAMES[i] for i in range(len(FRACTIONS)) if assigned[i] == 0]:
        span_s = float(np.ptp(trial_start_s))
        shorter = (
            f"take shorter blocks, such as --split=blocks:{float(f'{span_s / 20:.1g}'):g}s, or "
            if span_s
            else ""
        )
        raise InputError(
            f"{where}: the trials lie in {len(np.unique(block))} of the blocks of {block_s:g} s, "
            f"which leaves none for {' and '.join(missing)}; {shorter}split at random"
        )
    return split


def later_trials_within(
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
    split: np.ndarray | None = None,
) -> np.ndarray:
    """How many later trials (with `split`: of another split) begin before a trial ends.

    Half a bin is tolerated, since clocks and stops round. Trials that all start at one time have no
    session clock (each counts from its own event): nothing is known, and none is counted.

    Returns:
        int64 [trials]; the sum is the number of pairs that share time.
    """
    num_trials = len(trial_start_s)
    # Stable, so that trials of one start keep their order, and the count is always the same.
    order = np.argsort(trial_start_s, kind="stable")
    starts = trial_start_s[order]
    within = np.zeros(num_trials, np.int64)
    if num_trials == 0 or starts[0] == starts[-1]:
        return within
    first = np.arange(1, num_trials + 1)  # the next trial, in order of time
    last = np.searchsorted(starts, starts + (trial_num_bins[order] - 0.5) * bin_size_s, side="left")
    # A trial that ends before the next begins shares nothing, not less than nothing.
    last = np.maximum(last, first)
    within[order] = last - first
    if split is not None:
        codes = split[order].astype(np.int64)
        # trials of each split before each one
        seen = np.zeros((num_trials + 1, len(SPLIT_NAMES)), np.int64)
        np.cumsum(codes[:, None] == np.arange(len(SPLIT_NAMES)), axis=0, out=seen[1:])
        # By running totals: no loop over pairs, of which a long recording has millions.
        within[order] -= seen[last, codes] - seen[first, codes]
    return within


def with_train_fraction(session: Session, fraction: float, seed: int) -> Session:
    """The session with a share of its training trials; the others belong to no split.

    For one seed the subsets are nested: the trials of 5 % are among those of 10 %. Validation and
    test trials stay.

    Args:
        session: the recording.
        fraction: above 0 and at most 1; rounded to whole trials, at least one.
        seed: of the order in which trials are taken; sessions of other names have other orders.

    Raises:
        InputError: a fraction outside (0, 1].
    """
    require(
        0 < fraction <= 1, f"data.train_fraction={fraction}; expected a share above 0 and at most 1"
    )
    if fraction == 1:
        return session
    # Not hash(): Python salts that of text anew in every process.
    digest = hashlib.sha256(session.session_id.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
    trials = rng.permutation(session.trials_of(TRAIN))
    # One order cut at different lengths: this is what nests the subsets.
    split = session.split.copy()
    split[trials[max(1, round(fraction * len(trials))) :]] = UNUSED
    return session.with_fields(split=split)
