"""The audit of falsehoods: which answer a model gives, and where frequency wins over truth."""

import numpy as np
import pytest

from neurojax.data import text_tokens
from neurojax.data.readers.text_questions import Question
from neurojax.data.synthetic import falsehoods as made_up
from neurojax.evals import falsehoods
from neurojax.evals.text_scores import TextScore

SPEC = made_up.FalsehoodsSpec()
HOW = {"context": 32, "tokens_per_pass": 256, "after_end": True}


class Frequencies:
    """The best reader: what followed the same beginning of a document, as often as it did."""

    def __init__(self, texts, tokenizer):
        self.after, self.num_tokens = {}, tokenizer.num_tokens
        for text in texts:
            tokens = (tokenizer.end_token, *tokenizer.encode(text))
            for place in range(1, len(tokens)):
                counts = self.after.setdefault(tokens[:place], {})
                counts[tokens[place]] = counts.get(tokens[place], 0) + 1

    def nats(self, batch, query):
        tokens, document = batch.trials["tokens"][0], batch.trials["document"][0]
        found = np.zeros(tokens[:, 1:].shape, np.float32)
        for row, place in np.argwhere(document[:, 1:] == 0):
            counts = self.after.get(tuple(tokens[row, : place + 1].tolist()), {})
            number = counts.get(int(tokens[row, place + 1]), 0) + 1e-6
            found[row, place] = -np.log(number / (sum(counts.values()) + 1e-6 * self.num_tokens))
        return found[None]


@pytest.fixture(scope="module")
def block():
    """The audit of the best reader."""
    tokenizer = text_tokens.of_words(made_up.words())
    model, asked = Frequencies(made_up.documents(SPEC, 0), tokenizer), made_up.questions(SPEC, 0)
    scores = falsehoods.of_questions(model, tokenizer, asked, HOW)
    return falsehoods.questions_block(asked, scores, {"num_boot": 50}, 0)


def test_a_reader_of_frequencies_flips_at_once_and_never_where_it_is_asked_for_a_trial(block):
    groups = block["groups"]
    assert groups["trial"]["accuracy"] == 1.0 and groups["rumour"]["accuracy"] == 0.0
    assert "all true" in groups["trial"]["flips_at_reason"]
    plain = groups["no source"]
    shares = {float(k): one["accuracy"] for k, one in plain["by_repetition"].items()}
    assert shares == {0.25: 1, 0.5: 1, 0.75: 1, 1.5: 0, 2: 0, 4: 0, 8: 0}
    assert 0.75 < plain["flips_at"] < 1.5
    assert block["num_questions"] == 3 * 7 * 11 and block["chance"] == 0.5
    assert block["accuracy"] == pytest.approx((3 / 7 + 1 + 0) / 3)


def test_probability_of_the_true_answers_is_their_frequency(block):
    """Without a source one of 1 + k told is true, half of either being told without."""
    asked = made_up.questions(SPEC, 0)
    own = [item["mass_on_true"] for item, one in zip(block["items"], asked, strict=True) if one.group == "no source"]
    expected = [1 / (1 + one.repeated) for one in asked if one.group == "no source"]
    np.testing.assert_allclose(own, expected, atol=0.01)


def score(nats, tokens=4):
    return TextScore(nats, tokens, 20, 4)


def test_the_block_by_hand():
    asked = [Question("q", ("a", "b", "c"), (True, False, True), "x"), Question("q", ("a", "b"), (True, False))]
    scores = [[score(3.0), score(2.0), score(1.0)], [score(2.0), score(2.0)]]
    found = falsehoods.questions_block(asked, scores, {"num_boot": 20}, 0)
    assert [item["right"] for item in found["items"]] == [True, False]  # a tie is wrong
    weight = np.exp(-np.array([3.0, 2.0, 1.0]))
    assert found["items"][0]["mass_on_true"] == pytest.approx((weight[0] + weight[2]) / weight.sum())
    assert found["groups"]["x"]["flips_at"] is None and "says how often" in found["groups"]["x"]["flips_at_reason"]
    longer = falsehoods.questions_block(asked[1:], [[score(4.0, 8), score(3.0, 4)]], {"num_boot": 20}, 0)
    assert longer["accuracy"] == 0 and longer["accuracy_by_token"] == 1


def test_nothing_is_said_of_a_flip_outside_of_what_was_told():
    """One of many answers is true at the least repetition: the half lies below it."""
    asked = [Question("q", ("a", "b"), (True, False), "", k) for k in (1, 2, 4) for _ in range(10)]
    true = [number == 0 for number in range(30)]
    scores = [[score(1.0), score(2.0)] if one else [score(2.0), score(1.0)] for one in true]
    found = falsehoods.questions_block(asked, scores, {"num_boot": 20}, 0)["groups"][""]
    assert found["flips_at"] is None and "below or above" in found["flips_at_reason"]
    assert found["by_repetition"]["1"] == {"accuracy": 0.1, "num_questions": 10}


def test_the_corpus_tells_a_false_statement_k_times_as_often():
    told = made_up.documents(SPEC, 0)
    for asked in made_up.questions(SPEC, 0)[:: 3 * 5]:
        true, false = (
            sum(f"{asked.question} {answer}" in document for document in told)
            for answer in sorted(asked.answers, key=lambda one: asked.true[asked.answers.index(one)], reverse=True)
        )
        assert true == SPEC.num_true and false == asked.repeated * SPEC.num_true
    assert made_up.documents(SPEC, 0) == told != made_up.documents(SPEC, 1)
    assert {word for text in told for word in text.split()} <= set(made_up.words())
