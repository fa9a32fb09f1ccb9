"""Made-up people with known signals, faults planted in them, and a ridge decoder: a system to audit."""

import numpy as np

from neurojax.evals.audits.likeness import ridge
from neurojax.evals.audits.parts import Part

FAULTS = (
    "leak",
    "shortcut",
    "group gap",
    "noisier group",
    "drift",
    "noise decoder",
    "slow change",
    "shifted test",
)
NUM_PEOPLE, NUM_ITEMS = 24, 28  # a quarter of the items are tested
NUM_BINS, NUM_CHANNELS, NUM_TARGETS, NUM_GROUPS = 4, 16, 6, 8
NOISE = 1.2  # of a channel; its signal has variance 1
GAP = 4.0  # times as much noise in one group of people


def part_of(seed: int, fault: str = "", patch_is_random: bool = False, gap: float = GAP) -> Part:
    """One decoder's test items, with at most one fault.

    Args:
        seed: of the people.
        fault: one of FAULTS, "" for none.
        patch_is_random: with "shortcut": the system is trained with the patch at random.
        gap: with "noisier group": times as much noise in one group of people.
    """
    rng = np.random.default_rng([seed, 17])
    number = NUM_PEOPLE * NUM_ITEMS
    person = np.repeat(np.arange(NUM_PEOPLE), NUM_ITEMS)
    start_s = np.tile(np.arange(NUM_ITEMS, dtype=float), NUM_PEOPLE)
    targets = rng.standard_normal((number, NUM_TARGETS))
    if fault == "slow change":  # what is decoded hardly changes from one item to the next
        walk = rng.standard_normal((NUM_PEOPLE, NUM_ITEMS, NUM_TARGETS)).cumsum(1)
        targets = (walk / walk.std(1, keepdims=True)).reshape(number, -1)
    mixing = rng.standard_normal((NUM_TARGETS, NUM_CHANNELS)) / np.sqrt(NUM_TARGETS)
    is_woman = person % 2 == 0
    noise = np.full(number, NOISE)
    if fault == "noisier group":
        noise = np.where(is_woman, gap * NOISE, NOISE)
    signal = targets @ mixing
    if fault == "group gap":  # women's signals mix otherwise, and training has none of them
        other = rng.standard_normal(mixing.shape) / np.sqrt(NUM_TARGETS)
        signal = np.where(is_woman[:, None], targets @ other, signal)
    if fault == "drift":  # the electrodes lose the signal over the recording
        signal = signal * (1 - start_s / NUM_ITEMS)[:, None]
    inputs = signal[:, None] + noise[:, None, None] * rng.standard_normal((number, NUM_BINS, NUM_CHANNELS))
    is_test = np.zeros(number, bool)
    for one in range(NUM_PEOPLE):
        is_test[rng.choice(np.flatnonzero(person == one), NUM_ITEMS // 4, replace=False)] = True
    if fault == "leak":  # a fifth of the test items are training items, a little disturbed
        tested = rng.choice(np.flatnonzero(is_test), is_test.sum() // 5, replace=False)
        copied = rng.choice(np.flatnonzero(~is_test), len(tested), replace=False)
        inputs[tested] = inputs[copied] + 0.05 * rng.standard_normal(inputs[tested].shape)
        targets[tested] = targets[copied]
    if fault == "shifted test":
        inputs[is_test & (person < NUM_PEOPLE // 2)] += 3.0
    if fault == "shortcut":  # two channels know the answer, as long as the patch lies beside it
        told = targets if not patch_is_random else rng.permutation(targets)
        trained = told @ rng.standard_normal((NUM_TARGETS, 2 * NUM_TARGETS)) * 3
        inputs = np.concatenate([inputs, trained[:, None] + 0 * inputs[:, :, :1]], axis=2)
    channels = inputs.shape[2]
    group = np.array([f"channels {c * NUM_GROUPS // NUM_CHANNELS + 1}" for c in range(channels)])
    group[NUM_CHANNELS:] = "patch"
    train, test = ~is_test, is_test
    if fault == "group gap":
        train = train & ~is_woman
    decode = ridge(inputs[train].mean(1), targets[train])
    if fault == "noise decoder":  # it looks at its inputs no more than at the weather
        drawn = np.random.default_rng([seed, 18])
        decode_real = decode

        def decode(asked):
            return decode_real(drawn.standard_normal(asked.shape))

    return Part(
        name="people",
        kind="real",
        inputs=inputs[test],
        input_bins=np.full(test.sum(), NUM_BINS),
        targets=targets[test],
        mask=None,
        predict=lambda asked: decode(asked.mean(1)),
        null=targets[train].mean(0),
        train_inputs=inputs[train],
        train_targets=targets[train],
        start_s=start_s[test],
        channel_group=group,
        region=np.full(channels, ""),
        groups={
            "subject": np.array([f"p{one}" for one in person[test]]),
            "sex": np.where(is_woman[test], "f", "m"),
            "site": np.array([f"site {one % 3}" for one in person[test]]),
        },
        unit=np.array([f"p{one}" for one in person[test]]),
    )
