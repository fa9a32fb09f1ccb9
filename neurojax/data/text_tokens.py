"""Text to tokens and back: words with bytes for the rest, or byte pairs of a tokenizer.json.

A tokenizer gives back every text as it was. Its file travels with a run, so that other texts can
be scored later: `tokenizer.json` is either ours ({"format": "neurojax words", "words": [...]}) or
that of the package `tokenizers` (`pip install "neurojax[text]"`).
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.errors import InputError, require

FILE_NAME = "tokenizer.json"
WORDS_FORMAT = "neurojax words"
MAX_BYTES = 64 << 20
MAX_WORDS = MAX_TOKENS = 1 << 20
END = 0  # of our own tokenizer: stands between documents
_FIRST_BYTE, _FIRST_WORD = 1, 257
_PIECE = re.compile(r" ?[^\s.,;:()]+| ?[.,;:()]|\s", re.DOTALL)
END_NAMES = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>")  # as public tokenizers call it


class Tokenizer(NamedTuple):
    """Attributes:
    encode: text -> list of token ids, without one for beginning or end.
    decode: token ids -> text.
    num_tokens: V, above every token id.
    end_token: id of the token between documents.
    content: bytes of its file.
    """

    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    num_tokens: int
    end_token: int
    content: bytes


def of_words(words: Sequence[str], where: str = "a tokenizer") -> Tokenizer:
    """A tokenizer of whole words, each with the blank before it; other pieces are their bytes.

    Args:
        words: without blanks; the id of each follows from its place.
        where: they stand, for messages.

    Raises:
        InputError: a word twice, one with a blank, or half a character.
    """
    words = list(words)
    require(
        len(set(words)) == len(words)
        and all(w and not re.search(r"\s", w) and _whole(w) == w for w in words),
        f"the words of {where} hold one twice, one with a blank or half a character; expected "
        "different words",
    )
    number = {f" {word}": _FIRST_WORD + place for place, word in enumerate(words)}

    def encode(text: str) -> list[int]:
        # The blank in front makes the first word of a text the token it is elsewhere.
        tokens: list[int] = []
        for piece in _PIECE.findall(f" {text}"):
            if piece in number:
                tokens.append(number[piece])
            else:
                tokens += [_FIRST_BYTE + byte for byte in piece.encode("utf-8", "surrogatepass")]
        return tokens

    def decode(tokens: Sequence[int]) -> str:
        parts = [
            f" {words[token - _FIRST_WORD]}".encode()
            if token >= _FIRST_WORD
            else bytes([token - _FIRST_BYTE])
            for token in tokens
            if token != END
        ]
        return b"".join(parts).decode("utf-8", "replace").removeprefix(" ")

    content = json.dumps({"format": WORDS_FORMAT, "words": words}, ensure_ascii=False)
    return Tokenizer(encode, decode, _FIRST_WORD + len(words), END, f"{content}\n".encode())


def words_of(text: str) -> list[str]:
    """The words of a text that a tokenizer of words may have a token for, in their order."""
    return [piece[1:] for piece in _PIECE.findall(f" {text}") if piece[0] == " " and piece != " "]


def open_file(path: Path) -> Tokenizer:
    """A tokenizer from its file, of unknown origin.

    Raises:
        InputError: no such file, too large, not JSON, not a tokenizer, or one that needs the
            package `tokenizers` where it is missing.
    """
    path = Path(path)
    try:
        require(
            path.stat().st_size <= MAX_BYTES,
            f"{path} has {path.stat().st_size:,} bytes, expected at most {MAX_BYTES:,}",
        )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); put the model's tokenizer.json there"
        ) from None
    return of_content(content, str(path))


def of_content(content: bytes, where: str) -> Tokenizer:
    """A tokenizer from the bytes of its file; errors as of `open_file`."""
    try:
        known = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{where} is no JSON; expected the tokenizer.json of a model") from None
    if isinstance(known, dict) and known.get("format") == WORDS_FORMAT:
        words = known.get("words")
        sound = isinstance(words, list) and len(words) <= MAX_WORDS
        require(
            sound and all(isinstance(word, str) and len(word) < 1000 for word in words),
            f"{where} holds no list of words; use another copy",
        )
        return of_words(words, where)
    return _byte_pairs(content, known, where)


def _byte_pairs(content: bytes, known: Any, where: str) -> Tokenizer:
    """A tokenizer of the package `tokenizers`."""
    model = known.get("model") if isinstance(known, dict) else None
    require(
        isinstance(model, dict) and isinstance(model.get("vocab"), dict | list),
        f"{where} is no tokenizer (it has no model.vocab); expected the tokenizer.json of a model",
    )
    try:
        import tokenizers
    except ImportError:
        raise InputError(
            f'{where} needs the package tokenizers: pip install "neurojax[text]"'
        ) from None
    found = _judged(lambda: tokenizers.Tokenizer.from_str(content.decode()), where)
    found.no_truncation()
    found.no_padding()
    if getattr(found.model, "dropout", None):
        found.model.dropout = None  # pairs left out at random: for training; a score has one value
    ends = [number for name in END_NAMES if (number := found.token_to_id(name)) is not None]
    require(
        ends, f"{where} has none of the tokens {', '.join(END_NAMES)}; expected one between texts"
    )
    # Not how many there are: numbers may have gaps, and each of them has to be a row of the model.
    largest = max(found.get_vocab(with_added_tokens=True).values())
    require(
        largest < MAX_TOKENS,
        f"{where} has a token of number {largest:,}; expected numbers below {MAX_TOKENS:,}",
    )
    return Tokenizer(
        lambda text: _judged(
            lambda: found.encode(_whole(text), add_special_tokens=False).ids, where
        ),
        lambda tokens: found.decode(list(tokens), skip_special_tokens=True),
        largest + 1,
        ends[0],
        content,
    )


def _whole(text: str) -> str:
    """A text whose halves of surrogate pairs, which are no characters, are question marks."""
    return text.encode("utf-8", "replace").decode()


def _judged(call: Callable[[], Any], where: str) -> Any:
    """What the package `tokenizers` makes of a file; InputError where the file makes it fail."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # plain Exceptions, and panics, which are none
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{where} is no sound tokenizer ({told}); use another copy") from None
