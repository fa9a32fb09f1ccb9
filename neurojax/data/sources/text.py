"""Rows of tokens: documents of the train split in a new order each epoch, packed end to end.

Documents are cut where a row ends and go on in the next one. A token sees the tokens of its own
document alone, and places count from the document's first token in the row: what a model makes of
a document is what it would make of it alone.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import text_tokens
from neurojax.data.readers import text_pairs, text_questions
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import made_up
from neurojax.data.store import corpus as corpora
from neurojax.data.synthetic import findings
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.ranges import at_least, check_ranges

VALIDATION_ROWS = 64  # at most
HELD_OUT = 0.05  # of made-up documents, for validation and once more for test


@dataclasses.dataclass(frozen=True)
class Config:
    """What a batch is.

    Attributes:
        trials_per_batch: b, rows.
        context_tokens: T, of a row; as long as a model may look back.
    """

    trials_per_batch: int
    context_tokens: int

    def __post_init__(self):
        check_ranges(self, "data.", RANGES)


RANGES = {"trials_per_batch": at_least(1), "context_tokens": at_least(2)}


class TextSource:
    """Batches of the train split.

    Attributes:
        facts: a row's tokens as bins, the vocabulary as classes; no units, no rows of tables.
        sessions, table: empty.
        trials_per_batch: b.
    """

    sessions, table = (), []  # noqa: RUF012  never written to

    def __init__(self, corpus: corpora.Corpus, config: Config, seed: int):
        self.corpus, self.trials_per_batch = corpus, config.trials_per_batch
        self._seed, self._order = seed, (-1, None, None)
        self._documents = {split: corpus.documents_of(split) for split in (TRAIN, VALIDATION, TEST)}
        self.facts = Facts(
            num_bins=config.context_tokens,
            bin_size_s=corpus.bin_size_s,
            num_classes=corpus.tokenizer.num_tokens,
        )

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(1, b, T, V); InputError where nothing is to train on."""
        require(
            len(self._documents[TRAIN]), "the corpus has no training document; expected split 0"
        )
        return [(1, self.trials_per_batch, self.facts.num_bins, self.facts.num_classes)]

    def largest_batch(self) -> Batch:
        """All batches have one shape."""
        return self.batch(0)

    def contents(self) -> str:
        """`a vocabulary of 316 tokens`."""
        return f"a vocabulary of {self.facts.num_classes:,} tokens"

    def session_names(self, index: int) -> list[str]:
        """Which rows of the stream are in batch `index`."""
        first = index * self.trials_per_batch
        return [f"rows {first:,} to {first + self.trials_per_batch - 1:,} of the text"]

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b rows to gather, default all.

        Returns:
            trials: tokens int32 [1, b, T + 1]; document int32 [1, b, T + 1], equal within one,
            -1 in padding; position int32 [1, b, T + 1], place in the document, as far as it lies
            in the row.
        """
        wanted = np.arange(self.trials_per_batch)[rows(self.trials_per_batch)]
        return as_batch([self._row(index * self.trials_per_batch + row) for row in wanted])

    def validation_batches(self) -> list[Batch]:
        """The first rows of the validation documents in their order."""
        return self._in_order(VALIDATION, VALIDATION_ROWS)

    def passes(self, split: int, at_most: int) -> list[Batch]:
        """The first `at_most` rows of a split's documents in their order, in batches of b."""
        return self._in_order(split, at_most)

    def _in_order(self, split: int, at_most: int) -> list[Batch]:
        documents = self._documents[split]
        if not len(documents):
            return []
        ends = np.cumsum(self.corpus.length[documents] + 1)
        number = int(min(at_most, max(1, (ends[-1] - 1) // self.facts.num_bins)))
        made = [self._cut(documents, ends, row * self.facts.num_bins) for row in range(number)]
        size = self.trials_per_batch
        empty = tuple(np.full(self.facts.num_bins + 1, value) for value in (0, -1, 0))
        made += [empty] * (-len(made) % size)
        return [as_batch(made[first : first + size]) for first in range(0, len(made), size)]

    def _row(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row `number` of the endless stream: tokens, document and position, [T + 1] each."""
        train, num_bins = self._documents[TRAIN], self.facts.num_bins
        total = int(self.corpus.length[train].sum()) + len(train)
        # Rows overlap by one token: every token is predicted once in an epoch, but for the last.
        rows = max(1, (total - 1) // num_bins)
        epoch, place = divmod(number, rows)
        if self._order[0] != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(train)
            self._order = (epoch, order, np.cumsum(self.corpus.length[order] + 1))
        return self._cut(*self._order[1:], place * num_bins)

    def _cut(self, documents: np.ndarray, ends: np.ndarray, first: int):
        """T + 1 tokens from `first` on of documents end to end, each after an end token."""
        wanted = self.facts.num_bins + 1
        tokens, document, position = (np.full(wanted, value, np.int32) for value in (0, -1, 0))
        filled, number = 0, int(np.searchsorted(ends, first, side="right"))
        while filled < wanted and number < len(documents):
            own = self.corpus.tokens_of(documents[number])
            whole = np.concatenate([[self.corpus.tokenizer.end_token], own])
            skipped = first + filled - (int(ends[number]) - len(whole))
            part = whole[skipped : skipped + wanted - filled]
            here = slice(filled, filled + len(part))
            tokens[here], document[here] = part, number
            position[here] = np.arange(len(part))
            filled, number = filled + len(part), number + 1
        return tokens, document, position


def as_batch(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Rows of (tokens, document, position) as a batch of one group."""
    tokens, document, position = (
        np.stack(part).astype(np.int32)[None] for part in zip(*rows, strict=True)
    )
    return Batch({"tokens": tokens, "document": document, "position": position}, {})


def open_source(corpus: corpora.Corpus, config: Config, seed: int) -> TextSource:
    """The source of a run.

    Args:
        corpus: what `open_data` gives; sessions of recordings are refused.
        config: what a batch is.
        seed: of the order of documents.

    Raises:
        InputError: something else than a corpus.
    """
    require(
        isinstance(corpus, corpora.Corpus),
        "data.source=text reads a corpus of texts, not recordings; name one with data.root",
    )
    return TextSource(corpus, config, seed)


def rows_of(sessions: Sequence, table: list[dict[str, Any]]) -> None:
    """No row belongs to a document."""


def open_data(data: Mapping[str, Any], seed: int) -> corpora.Corpus:
    """The corpus that a config names: a folder under data.root, or made-up findings.

    Args:
        data: the `data` block.
        seed: of made-up documents and of `train_fraction`.

    Raises:
        InputError: no such folder, a damaged one, or an unknown entry of data.synthetic.
    """
    if data["root"]:
        corpus = corpora.open_corpus(data["root"])
    else:
        corpus = made_up_findings(made_up.spec_of(findings.FindingsSpec, data), seed)
    fraction = data["train_fraction"]
    return corpus if fraction == 1 else corpora.with_train_fraction(corpus, fraction, seed)


def made_up_findings(spec: findings.FindingsSpec, seed: int) -> corpora.Corpus:
    """A corpus of made-up findings with its pairs, see data.synthetic.findings."""
    texts = findings.documents(spec, seed)
    held_out = max(1, round(HELD_OUT * len(texts)))
    split = np.full(len(texts), TRAIN, np.int8)  # documents are drawn alike: the last will do
    split[-2 * held_out :] = np.repeat([VALIDATION, TEST], held_out)
    pairs = [
        text_pairs.TextPair(pair.texts, pair.label, "", pair.probability)
        for pair in findings.pairs(spec, seed)
    ]
    return corpora.of_texts(texts, split, text_tokens.of_words(findings.words()), pairs)


def open_other(path: Path) -> text_pairs.Pairs | text_questions.Questions | corpora.Corpus:
    """What `evaluate --data` names: pairs of texts, questions with answers, or another corpus."""
    if Path(path).is_dir():
        return corpora.open_corpus(path)
    read = text_questions.read if text_questions.recognises(path) else text_pairs.read
    return read(path)
