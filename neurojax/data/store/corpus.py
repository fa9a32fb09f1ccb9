"""A corpus: documents as tokens, in shards that are mapped into memory, and pairs to choose from.

<root>/corpus.json             schema, vocabulary, end token, shards with their digests
<root>/tokens_00000.npy        uint16 or uint32 [tokens], documents end to end
<root>/documents_00000.npz     length int64 [documents], split int8 (0 train, 1 validation, 2 test)
<root>/tokenizer.json          see data.text_tokens
"""

import dataclasses
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data import text_tokens
from neurojax.data.readers.text_pairs import TextPair
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION
from neurojax.errors import InputError, require
from neurojax.files import (
    as_path,
    publish_folder,
    read_json,
    sha256_file,
    temporary_folder,
    told,
    write_json,
)

INDEX_NAME, SCHEMA, KIND = "corpus.json", 1, "text"
NO_TEXT = "the corpus holds no text; expected documents"
SHARD_TOKENS = 1 << 24
Shard = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens, length and split of documents


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """What a language model is trained on, and in the place of a `Dataset` of recordings.

    Attributes:
        shards: arrays of whole numbers [tokens].
        shard, start, length: int64 [documents], where each document lies.
        split: int8 [documents].
        tokenizer: what made the tokens.
        fingerprint: hex digest of tokens, documents and tokenizer.
        pairs: texts to choose between, kept from training; () where there are none.
    """

    shards: tuple[np.ndarray, ...]
    shard: np.ndarray
    start: np.ndarray
    length: np.ndarray
    split: np.ndarray
    tokenizer: text_tokens.Tokenizer
    fingerprint: str
    pairs: tuple[TextPair, ...] = ()

    # Of recordings there are none: what goes through them finds nothing to do.
    sessions = ()
    digests = {}  # noqa: RUF012  never written to
    bin_size_s = 1.0  # a token has no duration; formats for recordings want one

    @property
    def to_read(self) -> "Corpus":
        """What a source reads."""
        return self

    def documents_of(self, split: int) -> np.ndarray:
        """Numbers of the documents of a split, int64."""
        return np.flatnonzero(self.split == split)

    def tokens_of(self, document: int) -> np.ndarray:
        """The tokens of one document, a view into its shard."""
        first = self.start[document]
        return self.shards[self.shard[document]][first : first + self.length[document]]

    @property
    def contents(self) -> str:
        """`40,000 documents`."""
        return f"{len(self.length):,} documents"

    @property
    def num_bytes(self) -> int:
        """Of all tokens, as they are stored."""
        return sum(shard.nbytes for shard in self.shards)

    def to_train(self, num_bins: int) -> str:
        """What there is to train on, in words."""
        number = int(self.length[self.split == TRAIN].sum())
        return f"{number:,} training tokens in rows of {num_bins}"

    @property
    def files_of_run(self) -> dict[str, bytes]:
        """What a run keeps of its data, so that other texts can be scored without them."""
        return {text_tokens.FILE_NAME: self.tokenizer.content}


def of_texts(
    texts: Sequence[str],
    split: np.ndarray,
    tokenizer: text_tokens.Tokenizer,
    pairs: Sequence[TextPair] = (),
) -> Corpus:
    """A corpus in memory.

    Args:
        texts: documents; an empty one is left out.
        split: int [documents].
        tokenizer: makes the tokens.
        pairs: texts to choose between.

    Raises:
        InputError: no document with a token.
    """
    coded = [np.asarray(tokenizer.encode(text), _dtype(tokenizer)) for text in texts]
    kept = [number for number, tokens in enumerate(coded) if len(tokens)]
    require(kept, NO_TEXT)
    own = np.asarray(split, np.int8)[kept]
    tokens, length, own = _shard([coded[number] for number in kept], own)
    return _collected((tokens,), [length], [own], tokenizer, _digest_of(tokens, length, own), pairs)


def _dtype(tokenizer: text_tokens.Tokenizer):
    return np.uint16 if tokenizer.num_tokens <= 1 << 16 else np.uint32


def _shard(coded: Sequence[np.ndarray], split) -> Shard:
    length = np.array([len(tokens) for tokens in coded], np.int64)
    return np.concatenate(coded), length, np.asarray(split, np.int8)


def shards_of(
    texts: Iterable[str], tokenizer: text_tokens.Tokenizer, at_most: int = SHARD_TOKENS
) -> Iterator[Shard]:
    """Documents as shards, one after another, for `write_shards`: no two are in memory at once.

    The split follows from a document's content, so that copies of it lie in one: of 20, 18 are to
    train on, one each is for validation and test.

    Args:
        texts: documents; an empty one is left out.
        tokenizer: makes the tokens.
        at_most: tokens of a shard, but for one of a single document.
    """
    coded: list[np.ndarray] = []
    split: list[int] = []
    held = 0
    for text in texts:
        tokens = np.asarray(tokenizer.encode(text), _dtype(tokenizer))
        if coded and held + len(tokens) > at_most:
            yield _shard(coded, split)
            coded, split, held = [], [], 0
        if len(tokens):
            digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
            place = int.from_bytes(digest[:8], "big") % 20
            coded.append(tokens)
            split.append({0: VALIDATION, 1: TEST}.get(place, TRAIN))
            held += len(tokens)
    if coded:
        yield _shard(coded, split)


def _digest_of(tokens: np.ndarray, length: np.ndarray, split: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in (tokens, length, split):
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _collected(shards, lengths, splits, tokenizer, digest: str, pairs=()) -> Corpus:
    """A corpus of shards; `digest` of them all."""
    pairs = tuple(pairs)
    told_of = hashlib.sha256(f"{digest} {len(pairs)} ".encode() + tokenizer.content)
    for pair in pairs:
        told_of.update("\0".join((*pair.texts, str(pair.label))).encode("utf-8", "replace"))
    return Corpus(
        shards=tuple(shards),
        shard=np.repeat(np.arange(len(shards)), [len(one) for one in lengths]),
        start=np.concatenate([np.cumsum(one) - one for one in lengths]),
        length=np.concatenate(lengths),
        split=np.concatenate(splits),
        tokenizer=tokenizer,
        fingerprint=told_of.hexdigest(),
        pairs=pairs,
    )


def write(corpus: Corpus, root: Path | str) -> None:
    """Writes a corpus as a folder; errors as of `write_shards`."""
    own = [corpus.shard == number for number in range(len(corpus.shards))]
    shards = (
        (shard, corpus.length[mine], corpus.split[mine])
        for shard, mine in zip(corpus.shards, own, strict=True)
    )
    write_shards(shards, corpus.tokenizer, root)


def write_shards(
    shards: Iterable[Shard], tokenizer: text_tokens.Tokenizer, root: Path | str
) -> None:
    """Writes shards as a corpus as they come; the folder appears whole or not at all.

    Raises:
        InputError: no shard, the folder holds something else, or it cannot be written; and what
            `shards` raises.
    """
    root = as_path(root, "root")
    require(
        not root.exists() or (root / INDEX_NAME).is_file() or not any(root.iterdir()),
        f"{root} holds something else than a corpus; choose another folder",
    )
    folder = None
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        folder = temporary_folder(root)
        entries = []
        for number, (tokens, length, split) in enumerate(shards):
            names = (f"tokens_{number:05}.npy", f"documents_{number:05}.npz")
            np.save(folder / names[0], tokens, allow_pickle=False)
            np.savez(folder / names[1], length=length, split=split)
            digests = [sha256_file(folder / name) for name in names]
            digest = _digest_of(tokens, length, split)
            entries.append({"files": list(names), "sha256": digests, "content_sha256": digest})
        require(entries, NO_TEXT)
        (folder / text_tokens.FILE_NAME).write_bytes(tokenizer.content)
        write_json(
            folder / INDEX_NAME,
            {
                "schema": SCHEMA,
                "kind": KIND,
                "num_tokens": tokenizer.num_tokens,
                "tokenizer_sha256": hashlib.sha256(tokenizer.content).hexdigest(),
                "shards": entries,
            },
        )
        publish_folder(folder, root)
    except OSError as error:
        raise InputError(f"{root} cannot be written {told(error)}") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # of a whole corpus nothing is left there


def open_corpus(root: Path | str) -> Corpus:
    """Opens a folder that `write` made; every byte is compared with its digest.

    Raises:
        InputError: no corpus, or one that is damaged or forged.
    """
    root = as_path(root, "root")
    path = root / INDEX_NAME
    require(path.is_file(), f"{root} has no {INDEX_NAME}; expected a corpus of texts")
    index = read_json(path)
    damaged = f"{path} or a file it names is damaged; write the corpus again"
    entries = index.get("shards")
    require(
        index.get("schema") == SCHEMA and index.get("kind") == KIND,
        f"{path} has schema {str(index.get('schema'))[:40]}, expected {SCHEMA} of kind {KIND}",
    )
    require(isinstance(entries, list) and 0 < len(entries) <= 100_000, damaged)
    tokenizer = text_tokens.open_file(root / text_tokens.FILE_NAME)
    digest = hashlib.sha256(tokenizer.content).hexdigest()
    same = digest == index.get("tokenizer_sha256")
    require(same and tokenizer.num_tokens == index.get("num_tokens"), damaged)
    shards = [_open_shard(root, n, entry, tokenizer, damaged) for n, entry in enumerate(entries)]
    tokens, lengths, splits = zip(*shards, strict=True)
    digests = [str(entry["content_sha256"]) for entry in entries]
    return _collected(tokens, lengths, splits, tokenizer, " ".join(digests))


def _open_shard(root: Path, number: int, entry: Any, tokenizer, damaged: str):
    """(tokens, length, split) of one shard; tokens are mapped, not read into memory."""
    names = [f"tokens_{number:05}.npy", f"documents_{number:05}.npz"]
    require(isinstance(entry, dict) and entry.get("files") == names, damaged)
    found = [sha256_file(root / name) for name in names if (root / name).is_file()]
    require(found == entry.get("sha256"), damaged)
    try:
        tokens = np.load(root / names[0], mmap_mode="r", allow_pickle=False)
        with np.load(root / names[1], allow_pickle=False) as documents:
            length, split = documents["length"], documents["split"]
    except (OSError, ValueError, KeyError, EOFError):
        raise InputError(damaged) from None
    sound = (
        tokens.ndim == length.ndim == split.ndim == 1
        and tokens.dtype in (np.uint16, np.uint32)
        and length.dtype == np.int64
        and split.dtype == np.int8
        and len(length) == len(split) > 0
        and (length > 0).all()
        and int(length.sum()) == len(tokens)
        and np.isin(split, range(-1, len(SPLIT_NAMES))).all()
        and int(tokens.max()) < tokenizer.num_tokens
    )
    require(sound, damaged)
    return tokens, length, split


def with_train_fraction(corpus: Corpus, fraction: float, seed: int) -> Corpus:
    """A share of the training documents, nested for one seed; the others belong to no split."""
    train = np.random.default_rng([seed, 7]).permutation(corpus.documents_of(TRAIN))
    split = corpus.split.copy()
    split[train[max(1, round(fraction * len(train))) :]] = -1
    digest = hashlib.sha256(f"{corpus.fingerprint} {fraction!r} {seed}".encode()).hexdigest()
    return dataclasses.replace(corpus, split=split, fingerprint=digest)
