"""Tokenizers: every text comes back as it was; files of unknown origin are refused in one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurojax.data import text_tokens
from neurojax.errors import InputError

WORDS = text_tokens.of_words(["dopamine", "lowers", "firing", "."])


@given(st.text(max_size=60))
def test_every_text_comes_back(text):
    assert WORDS.decode(WORDS.encode(text)) == text.encode("utf-8", "replace").decode()


def test_words_are_one_token_wherever_they_stand_and_other_words_are_bytes():
    tokens = WORDS.encode("dopamine lowers firing . dopamine")
    assert len(tokens) == 5 and tokens[0] == tokens[4]
    assert len(WORDS.encode("µs")) == 4  # the blank in front, two bytes of µ, s
    assert max(WORDS.encode("dopamine lowers firing . é")) < WORDS.num_tokens
    assert WORDS.end_token not in WORDS.encode("\0 dopamine")


def test_a_tokenizer_is_the_same_after_it_was_written(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(WORDS.content)
    again = text_tokens.open_file(tmp_path / "tokenizer.json")
    assert again.encode("dopamine lowers x") == WORDS.encode("dopamine lowers x")
    assert (again.num_tokens, again.content) == (WORDS.num_tokens, WORDS.content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no tokenizer"),
        (b'{"model": {"vocab": 3}}', "no tokenizer"),
        (b'{"format": "neurojax words", "words": [1]}', "no list of words"),
        (b'{"format": "neurojax words", "words": ["a", "a"]}', "twice"),
        (b'{"format": "neurojax words", "words": ["a b"]}', "blank"),
    ],
)
def test_what_is_no_tokenizer_is_refused(content, words, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        text_tokens.open_file(tmp_path / "tokenizer.json")


def test_a_missing_file_and_a_missing_package_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="put the model's tokenizer.json there"):
        text_tokens.open_file(tmp_path / "tokenizer.json")
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}}}))
    with pytest.raises(InputError, match=r'pip install "neurojax\[text\]"'):
        text_tokens.open_file(tmp_path / "tokenizer.json")


def byte_pairs():
    """A small byte-level tokenizer as public models have it."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["dopamine lowers firing of neurons"] * 10, trainer)
    made.enable_truncation(3)
    return made.to_str().encode()


def test_byte_pairs_of_a_tokenizer_json(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(byte_pairs())
    found = text_tokens.open_file(tmp_path / "tokenizer.json")
    text = "dopamine lowers µs of é"
    assert found.decode(found.encode(text)) == text  # a truncation in the file cuts nothing
    assert found.end_token == 0 and found.num_tokens <= 300
    with pytest.raises(InputError, match="none of the tokens"):
        text_tokens.of_content(byte_pairs().replace(b"<|endoftext|>", b"<|other|>"), "here")
    with pytest.raises(InputError, match="is no sound tokenizer"):
        text_tokens.of_content(byte_pairs().replace(b'"ByteLevel"', b'"Bite"'), "here")


def refused_or_encoded(content, text):
    """Tokens of a text by a damaged tokenizer.json; InputError where it is no sound one."""
    return text_tokens.of_content(json.dumps(content).encode(), "here").encode(text)


def test_a_tokenizer_json_that_harms_is_refused_and_what_is_random_in_it_is_left_out():
    whole = json.loads(byte_pairs())
    # Numbers with gaps: each has to be below the number of tokens, or an array is read beside its end.
    vocabulary = whole["model"]["vocab"]
    gaps = whole | {"model": whole["model"] | {"vocab": vocabulary | {"zz": 1000}}}
    assert text_tokens.of_content(json.dumps(gaps).encode(), "here").num_tokens == 1001
    gaps["model"]["vocab"] = vocabulary | {"zz": 2**31}
    with pytest.raises(InputError, match="here has a token of number 2,147,483,648"):
        refused_or_encoded(gaps, "a")
    # What the package panics at is no Exception.
    hangs = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    with pytest.raises(InputError, match="here is no sound tokenizer"):
        refused_or_encoded(whole | {"pre_tokenizer": hangs}, "a" * 26 + "b")
    random = whole | {"model": whole["model"] | {"dropout": 0.5}}
    expected = text_tokens.of_content(byte_pairs(), "here").encode("dopamine lowers firing")
    assert all(refused_or_encoded(random, "dopamine lowers firing") == expected for _ in range(9))


def test_half_a_character_is_a_question_mark_for_byte_pairs_and_no_word():
    found = text_tokens.of_content(byte_pairs(), "here")
    assert found.encode("a \ud800 b") == found.encode("a ? b")
    with pytest.raises(InputError, match="the words of here hold one twice, one with a blank or half a character"):
        text_tokens.of_content(rb'{"format": "neurojax words", "words": ["\ud800"]}', "here")
