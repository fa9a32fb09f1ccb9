"""Rows of text: every token is asked about once an epoch, whoever cuts or resumes."""

import numpy as np
import pytest

from neurojax.data import text_tokens
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import text
from neurojax.data.store import corpus as corpora
from neurojax.errors import InputError
from neurojax.objectives import lm

WORDS = text_tokens.of_words([f"w{number}" for number in range(40)])


def made(lengths=(3, 9, 1, 25, 6, 4, 7, 2), context=8, rows=3):
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in rng.integers(0, 40, size)) for size in lengths]
    split = np.full(len(texts), TRAIN)
    split[-2:] = VALIDATION, TEST
    corpus = corpora.of_texts(texts, split, WORDS)
    return corpus, text.open_source(corpus, text.Config(rows, context), 5)


def stream(source, number):
    """Tokens, documents and positions of the first rows, [rows, T + 1] each."""
    batches = [source.batch(index) for index in range(-(-number // source.trials_per_batch))]
    return [
        np.concatenate([batch.trials[name][0] for batch in batches])[:number]
        for name in ("tokens", "document", "position")
    ]


def test_every_token_is_asked_about_once_an_epoch_after_those_before_it():
    corpus, source = made()
    train = corpus.documents_of(TRAIN)
    total = int(corpus.length[train].sum()) + len(train)
    rows = (total - 1) // 8
    tokens, document, position = stream(source, 2 * rows)
    for epoch in (tokens[:rows], tokens[rows:]):
        flat = np.concatenate([epoch[0], *(row[1:] for row in epoch[1:])])
        wanted = sorted(tuple(corpus.tokens_of(d)) for d in train)
        found = [tuple(part) for part in np.split(flat, np.flatnonzero(flat == WORDS.end_token))[1:]]
        found = [part[1:] for part in found]
        assert set(found[:-1]) <= set(wanted) and len(set(found)) == len(found)
        assert len(flat) == rows * 8 + 1
    assert (tokens[:rows] != tokens[rows:]).any()  # another order
    begins = tokens == WORDS.end_token
    assert not position[begins].any()
    same = document[:, 1:] == document[:, :-1]
    np.testing.assert_array_equal(position[:, 1:][same], position[:, :-1][same] + 1)


def test_a_batch_follows_from_seed_and_index_alone_and_parts_are_those_of_the_whole():
    _, source = made()
    later = source.batch(7)
    _, fresh = made()
    for name, array in fresh.batch(7).trials.items():
        np.testing.assert_array_equal(array, later.trials[name])
        np.testing.assert_array_equal(fresh.batch(7, lambda b: slice(1, 3)).trials[name], array[:, 1:3])
        assert array.shape == (1, 3, 9) and array.dtype == np.int32


def test_the_first_token_of_a_document_is_not_asked_about_and_padding_neither():
    corpus, source = made()
    batch = source.passes(TEST, 8)[0]
    asked = np.asarray(lm.asked((), batch))
    tokens = batch.trials["tokens"]
    assert asked.sum() == corpus.length[corpus.documents_of(TEST)].sum()
    assert not (tokens[..., 1:] == WORDS.end_token)[asked].any()
    np.testing.assert_array_equal(np.asarray(lm.target(batch)), tokens[..., 1:])


def test_a_corpus_comes_back_from_its_folder_and_damage_is_refused(tmp_path):
    corpus, source = made()
    corpora.write(corpus, tmp_path / "text")
    again = corpora.open_corpus(tmp_path / "text")
    other = text.open_source(again, text.Config(3, 8), 5)
    for name, array in source.batch(4).trials.items():
        np.testing.assert_array_equal(other.batch(4).trials[name], array)
    assert isinstance(again.shards[0], np.memmap)
    tokens = tmp_path / "text" / "tokens_00000.npy"
    content = bytearray(tokens.read_bytes())
    content[-1] ^= 1
    tokens.write_bytes(content)
    with pytest.raises(InputError, match="damaged; write the corpus again"):
        corpora.open_corpus(tmp_path / "text")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="something else than a corpus"):
        corpora.write(corpus, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_shares_of_training_documents_are_nested_and_change_the_fingerprint():
    corpus, _ = made()
    some, fewer = (corpora.with_train_fraction(corpus, share, 0) for share in (0.7, 0.3))
    kept = [set(one.documents_of(TRAIN).tolist()) for one in (fewer, some, corpus)]
    assert kept[0] < kept[1] < kept[2]
    assert len({one.fingerprint for one in (fewer, some, corpus)}) == 3
    for split in (VALIDATION, TEST):
        np.testing.assert_array_equal(fewer.documents_of(split), corpus.documents_of(split))


def test_recordings_and_unknown_entries_are_refused():
    with pytest.raises(InputError, match="reads a corpus of texts"):
        text.open_source((), text.Config(3, 8), 0)
    with pytest.raises(InputError, match="data.synthetic.nois is not known"):
        text.open_data({"root": "", "train_fraction": 1.0, "synthetic": {"nois": "low"}}, 0)
    with pytest.raises(InputError, match="makes no data"):
        text.open_data({"root": "", "train_fraction": 1.0}, 0)
