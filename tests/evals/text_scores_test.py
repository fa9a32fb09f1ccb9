"""Scores of texts: by hand, whatever stands beside them, and in windows where they are long."""

import numpy as np
import pytest

from neurojax.data import text_tokens
from neurojax.evals import text_scores

WORDS = text_tokens.of_words(["up", "down", "rate", "."])


class Bigram:
    """A reader that knows the token before, and the place, so that both can be checked by hand."""

    def __init__(self):
        self.table = np.random.default_rng(0).random((WORDS.num_tokens, WORDS.num_tokens)).astype(np.float32)
        self.shapes = []

    def nats(self, batch, query):
        tokens = batch.trials["tokens"]
        self.shapes.append(tokens.shape)
        return self.table[tokens[..., :-1], tokens[..., 1:]] * (batch.trials["document"][..., 1:] >= 0)


@pytest.mark.parametrize("number", [2, 3, 8, 9, 10, 13, 17, 40])
def test_windows_score_every_token_but_the_first_once_with_enough_before_it(number):
    found = text_scores.windows(np.arange(number), 8)
    scored = np.concatenate([window.tokens[1 + window.skipped :] for window in found])
    np.testing.assert_array_equal(scored, np.arange(1, number))
    assert all(len(window.tokens) <= 9 for window in found)
    for window in found[1:]:
        assert window.skipped >= 3  # half of the context stands before a later window's first score


def test_nats_are_those_of_the_tokens_in_any_company():
    model = Bigram()
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, WORDS.num_tokens, size).tolist() for size in (2, 5, 70, 33, 9, 200)]
    together = text_scores.nats_of_tokens(model, texts, 64, 128)
    for tokens, found in zip(texts, together, strict=True):
        np.testing.assert_array_equal(found, model.table[tokens[:-1], tokens[1:]])
        np.testing.assert_array_equal(text_scores.nats_of_tokens(model, [tokens], 64, 128)[0], found)
    assert {shape[1:] for shape in model.shapes} == {(4, 33), (2, 65)}


def test_what_is_scored_of_a_text():
    model, how = Bigram(), {"context": 64, "tokens_per_pass": 64}
    tokens = WORDS.encode("rate up .")
    after, alone = (
        text_scores.score_texts(model, WORDS, ["rate up ."], after_end=end, **how)[0] for end in (True, False)
    )
    by_hand = model.table[tokens[:-1], tokens[1:]].astype(np.float64)
    assert alone == (pytest.approx(by_hand.sum()), 2, 9, 3)
    first = model.table[WORDS.end_token, tokens[0]]
    assert after == (pytest.approx(by_hand.sum() + first), 3, 9, 3)
    assert alone.perplexity("tokens") == pytest.approx(np.exp(by_hand.sum() / 2))
    assert alone.perplexity("words") == pytest.approx(np.exp(by_hand.sum() / 3))


def test_a_prompt_is_read_and_only_scored_where_that_is_asked():
    model, how = Bigram(), {"context": 64, "tokens_per_pass": 64, "after_end": False}
    whole = WORDS.encode("down . rate up")
    steps = model.table[whole[:-1], whole[1:]].astype(np.float64)
    for scored, wanted, number in ((False, steps[1:].sum(), 2), (True, steps.sum(), 3)):
        found = text_scores.score_texts(model, WORDS, [" rate up"], prompt="down .", score_prompt=scored, **how)[0]
        assert (found.nats, found.num_tokens) == (pytest.approx(wanted), number)


def test_a_text_of_one_token_stands_after_the_end_token():
    found = text_scores.score_texts(Bigram(), WORDS, ["up"], context=8, tokens_per_pass=8, after_end=False)
    assert found[0].num_tokens == 1 and found[0].nats > 0


def test_changed_passages_are_the_sentences_that_differ():
    texts = (
        "We recorded. Rates rose! Mice slept. It ended up. Why?",
        "We recorded. Rates fell! Mice slept. It ended down. Why?",
    )
    assert text_scores.changed_passages(texts) == [
        ("Rates rose!", "Rates fell!"),
        ("It ended up.", "It ended down."),
    ]
    assert text_scores.changed_passages(("One. Two.", "One.")) == []


def test_little_of_a_pass_is_padding_and_few_programs_are_compiled():
    sizes = [text_scores.padded_length(number, 1024) for number in range(1, 1100)]
    assert all(size >= min(number, 1024) for number, size in enumerate(sizes, 1))
    assert max(size / number for number, size in enumerate(sizes[:1024], 1) if number > 128) < 1.26
    assert len(set(sizes)) <= 20 and sizes[0] == 32 and sizes[-1] == 1024
