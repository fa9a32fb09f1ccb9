"""`neurojax convert text`: text files become a corpus, shard by shard."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.data import text_tokens
from neurojax.data.readers import plain_texts
from neurojax.data.session import SPLIT_NAMES
from neurojax.data.store import corpus
from neurojax.errors import require

OPTIONS = {
    "tokenizer": "a tokenizer.json: of a run, of a corpus, or of a public model",
    "words": "without a tokenizer: how many words, the most frequent, have a token (bytes make up "
    "the rest); default 8000",
    "documents": f"what parts .txt files: {', '.join(plain_texts.CUTS)}; default files",
}
EXAMPLE = "text abstracts --out=data/abstracts --options=documents=lines,words=8000"
NUM_WORDS = 8000


def convert_text(
    paths: Sequence[str | Path],
    out: Path,
    options: Sequence[tuple[str, str]] = (),
    overwrite: bool = False,
) -> None:
    """Writes a corpus; the same files and options give the same one.

    Args:
        paths: .txt and .jsonl files, or folders.
        out: a new folder; with `overwrite` an earlier corpus is replaced.
        options: see OPTIONS.

    Raises:
        InputError: see `readers.plain_texts` and `store.corpus`; an option that is not known; a
            corpus that is there already.
    """
    chosen = dict(options)
    for name in chosen:
        require(
            name in OPTIONS, f"options names {name!r}; text has {', '.join(OPTIONS)} and no more"
        )
    cut = chosen.get("documents", "files")
    require(
        cut in plain_texts.CUTS,
        f"options documents={cut!r}; choose from {', '.join(plain_texts.CUTS)}",
    )
    require(
        overwrite or not (out / corpus.INDEX_NAME).exists(),
        f"{out} holds a corpus already; choose another --out, or --overwrite",
    )
    files = plain_texts.find(paths)
    tokenizer = _tokenizer(chosen, files, cut)
    corpus.write_shards(
        corpus.shards_of(plain_texts.documents(files, cut), tokenizer), tokenizer, out
    )
    made = corpus.open_corpus(out)
    numbers = ", ".join(
        f"{len(made.documents_of(split)):,} {name}" for split, name in enumerate(SPLIT_NAMES)
    )
    print(
        f"{len(files):,} files, {len(made.length):,} documents ({numbers}), "
        f"{int(np.sum(made.length)):,} tokens of {tokenizer.num_tokens:,} kinds in "
        f"{len(made.shards)} shards: {out}"
    )
    print(f"next: neurojax train --config=causal_lm --config.data.root={out} --workdir=DIR")


def _tokenizer(chosen: dict[str, str], files: Sequence[Path], cut: str) -> text_tokens.Tokenizer:
    """The one that is named, or one of the most frequent words."""
    if "tokenizer" in chosen:
        require("words" not in chosen, "options names tokenizer and words; expected one of them")
        return text_tokens.open_file(Path(chosen["tokenizer"]))
    number = chosen.get("words", str(NUM_WORDS))
    require(
        number.isdecimal() and 0 < int(number) <= text_tokens.MAX_WORDS,
        f"options words={number[:40]!r}; expected a number from 1 to {text_tokens.MAX_WORDS:,}",
    )
    counted: Counter[str] = Counter()
    for text in plain_texts.documents(files, cut):
        counted.update(text_tokens.words_of(text))
        if len(counted) > 4 * text_tokens.MAX_WORDS:  # those seen once cannot be among the first
            counted = Counter({word: times for word, times in counted.items() if times > 1})
    # By frequency, then by the alphabet: the order of files does not matter.
    ranked = sorted(counted, key=lambda word: (-counted[word], word))
    return text_tokens.of_words(sorted(ranked[: int(number)]))
