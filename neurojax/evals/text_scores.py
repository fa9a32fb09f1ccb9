"""How likely a trained language model finds texts: nats of every text, whatever its length.

A text longer than the model's context is read in windows that overlap by half; each token is
scored once, where it has the most before it. A text's nats do not depend on the texts beside it:
lengths are padded to a few sizes by the text alone, and batches have as many rows as they always
have.
"""

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.batch import Batch

LEAST_LENGTH = 32  # tokens; shorter texts are padded to it
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class TextScore(NamedTuple):
    """Attributes:
    nats: sum over the scored tokens.
    num_tokens, num_bytes, num_words: of what was scored.
    """

    nats: float
    num_tokens: int
    num_bytes: int
    num_words: int

    def perplexity(self, by: str) -> float:
        """exp of the nats a unit, "tokens", "bytes" or "words"."""
        return float(np.exp(self.nats / getattr(self, f"num_{by}")))


class Window(NamedTuple):
    """Attributes:
    tokens: int [at most T + 1], the first of which is read and not scored.
    skipped: of the tokens after it, so many were scored by an earlier window.
    """

    tokens: np.ndarray
    skipped: int


def windows(tokens: Sequence[int], context: int) -> list[Window]:
    """Windows of at most `context` + 1 tokens that score every token but the first, once.

    Args:
        tokens: of a text, two or more.
        context: T, tokens that a model may read.
    """
    tokens = np.asarray(tokens, np.int32)
    found, scored = [], 1  # tokens that need no score any more
    while scored < len(tokens):
        stop = min(len(tokens), scored + (context if scored == 1 else context // 2))
        first = max(0, stop - context - 1)
        found.append(Window(tokens[first:stop], scored - first - 1))
        scored = stop
    return found


def padded_length(number: int, context: int) -> int:
    """Tokens that a row of `number` tokens is padded to, at most `context`. Four sizes lie between
    a power of two and the next, each of which is compiled once: of a row of more than 128 a tenth
    is padding on average, a fifth at most."""
    octave = 1 << (max(number, 1) - 1).bit_length()
    step = max(LEAST_LENGTH, octave // 8)
    return min(context, -(-max(number, 1) // step) * step)


def nats_of_tokens(
    model, texts: Sequence[Sequence[int]], context: int, tokens_per_pass: int
) -> list[np.ndarray]:
    """-log of the probability of every token but the first of each text, float32 [tokens - 1].

    Args:
        model: a predictor with `nats`.
        texts: tokens of each, two or more.
        context: T.
        tokens_per_pass: of a batch, at most, but for one row.
    """
    found = [np.zeros(len(tokens) - 1, np.float32) for tokens in texts]
    by_length: dict[int, list[tuple[int, int, Window]]] = {}
    for number, tokens in enumerate(texts):
        place = 0
        for window in windows(tokens, context):
            length = padded_length(len(window.tokens) - 1, context)
            by_length.setdefault(length, []).append((number, place, window))
            place += len(window.tokens) - 1 - window.skipped
    for length, listed in sorted(by_length.items()):
        rows = max(1, tokens_per_pass // length)
        for first in range(0, len(listed), rows):
            part = listed[first : first + rows]
            nats = np.asarray(model.nats(_batch([w for *_, w in part], length, rows), ()))[0]
            for own, (number, place, window) in zip(nats, part, strict=False):
                new = own[window.skipped : len(window.tokens) - 1]
                found[number][place : place + len(new)] = new
    return found


def _batch(listed: Sequence[Window], length: int, rows: int) -> Batch:
    """Windows as a batch of `rows` rows, padded to `length` + 1 tokens."""
    tokens = np.zeros((1, rows, length + 1), np.int32)
    document = np.full(tokens.shape, -1, np.int32)
    for row, window in enumerate(listed):
        tokens[0, row, : len(window.tokens)] = window.tokens
        document[0, row, : len(window.tokens)] = 0
    position = np.broadcast_to(np.arange(length + 1, dtype=np.int32), tokens.shape)
    return Batch({"tokens": tokens, "document": document, "position": position}, {})


def score_texts(
    model,
    tokenizer,
    texts: Sequence[str],
    *,
    context: int,
    tokens_per_pass: int,
    after_end: bool,
    prompt: str | Sequence[str] = "",
    score_prompt: bool = False,
) -> list[TextScore]:
    """Scores of texts.

    Args:
        model: a predictor with `nats`.
        tokenizer: see data.text_tokens.
        texts: as they are.
        context, tokens_per_pass: as of `nats_of_tokens`.
        after_end: a text stands after the token between documents, which makes its first token
            one that is scored; otherwise the first is read and not scored, as in Luo et al. 2024.
        prompt: in front of every text, or one for each.
        score_prompt: whether its tokens count.
    """
    coded, scored_from = [], []
    prompts = [prompt] * len(texts) if isinstance(prompt, str) else list(prompt)
    for text, prompt in zip(texts, prompts, strict=True):
        before = tokenizer.encode(prompt) if prompt else []
        tokens = tokenizer.encode(prompt + text)
        start = [tokenizer.end_token] if after_end or len(tokens) < 2 else []
        coded.append([*start, *tokens])
        # Of tokens made of prompt and text at once, the text's part cannot be told apart.
        own = 0 if score_prompt else min(len(before), len(tokens) - 1)
        scored_from.append(max(0, len(start) + own - 1))
    nats = nats_of_tokens(model, coded, context, tokens_per_pass)
    found = []
    for text, prompt, own, first in zip(texts, prompts, nats, scored_from, strict=True):
        whole = prompt + text if score_prompt else text
        units = (len(own) - first, len(whole.encode("utf-8", "replace")), len(whole.split()))
        # In float64, in the order of the tokens: the sum of a text is the same in any batch.
        found.append(TextScore(float(own[first:].astype(np.float64).sum()), *map(_some, units)))
    return found


def _some(number: int) -> int:
    return max(1, number)


def changed_passages(texts: tuple[str, str]) -> list[tuple[str, str]]:
    """The sentences in which two versions differ, without what stands around them.

    Sentences next to each other make one passage. A passage that one version lacks is left out.
    """
    first, second = (_SENTENCE_END.split(text) for text in texts)
    found = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for tag, start, stop, other, end in matcher.get_opcodes():
        if tag == "replace":
            found.append((" ".join(first[start:stop]), " ".join(second[other:end])))
    return found
