"""The evaluation of language models: how likely unread text is, and which of two texts is true.

An evaluator; see evals.spikes for what its five functions are for. The choice is that of Luo et
al. 2024: the version of lower perplexity, a tie is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data import text_tokens
from neurojax.data.readers.text_pairs import Pairs
from neurojax.data.readers.text_questions import Questions
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import text
from neurojax.data.store.corpus import Corpus
from neurojax.errors import InputError, require
from neurojax.evals import falsehoods, pair_scores, text_scores
from neurojax.report import text_report

PROTOCOL = "brainbench"
MAX_TEST_ROWS = 256
_KINDS = {
    "tokens_per_pass": int, "normalised_by": str, "prompt": str, "score_prompt": bool,
    "after_end": bool, "num_bins": int, "num_boot": int,
}  # fmt: skip
_LEAST = {"num_boot": 2}  # one resample has no spread
Log = Callable[[str], Any]


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; the protocol's name tells evaluations apart.

    Raises:
        InputError: an entry that is missing, of another type or out of its range.
    """
    protocol = settings.get("protocol")
    require(
        protocol == PROTOCOL,
        f"protocol {str(protocol)[:60]!r} is not one of language models; expected {PROTOCOL}",
    )
    for name, kind in _KINDS.items():
        value = settings.get(name)
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        require(
            fits and (kind is not int or value >= _LEAST.get(name, 1)),
            f"eval.{name}={str(value)[:60]!r}; expected what configs/causal_lm.py has there",
        )
    require(
        settings["normalised_by"] in pair_scores.UNITS,
        f"eval.normalised_by={settings['normalised_by']!r}; choose from "
        f"{', '.join(pair_scores.UNITS)}",
    )
    return {"protocol": PROTOCOL}


def prepare(
    dataset: Corpus | Pairs | Questions,
    settings: Mapping[str, Any],
    *,
    run: Path | None = None,
    log: Log = print,
) -> Corpus | Pairs | Questions:
    """Texts as they are; raises InputError for recordings, or where nothing can be scored."""
    require(
        isinstance(dataset, Corpus | Pairs | Questions),
        "eval.evaluator=brainbench scores texts, not recordings; set eval.evaluator=spikes",
    )
    if isinstance(dataset, Corpus):
        require(
            dataset.pairs or len(dataset.documents_of(TEST)),
            "the corpus has neither a test document nor a pair; expected documents of split 2",
        )
    return dataset


def evaluate(
    model,
    dataset: Corpus | Pairs | Questions,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Scores test documents of a corpus, pairs, and questions with several answers.

    Args:
        model: a predictor of the next token.
        dataset: a corpus, or pairs or questions alone.
        settings: the `eval` block.
        seed: of the bootstrap.
        folder: of the run, which keeps its tokenizer.
        root, log: as of `evals.spikes.evaluate`.

    Returns:
        {"text": nats a token of test documents, "pairs": see `pair_scores.pairs_block`,
        "questions": see `falsehoods.questions_block`}, of what there is.

    Raises:
        InputError: the tokenizer is not that of the run.
    """
    own = isinstance(dataset, Corpus)
    tokenizer = (
        dataset.tokenizer if own else text_tokens.open_file(Path(folder) / text_tokens.FILE_NAME)
    )
    known = model.facts.get("num_classes")
    require(
        tokenizer.num_tokens <= (known or 0),
        f"the tokenizer has {tokenizer.num_tokens:,} tokens, the run knows {known or 0:,}; use the "
        "tokenizer.json that the run was trained with",
    )
    found: dict[str, Any] = {}
    if isinstance(dataset, Questions):
        scores = falsehoods.of_questions(model, tokenizer, dataset.questions, _how(model, settings))
        block = falsehoods.questions_block(dataset.questions, scores, settings, seed)
        return {"questions": block}
    if own and len(dataset.documents_of(TEST)):
        found["text"] = of_documents(model, dataset, seed)
    if dataset.pairs:
        found["pairs"] = of_pairs(model, tokenizer, dataset.pairs, settings, seed)
    return found


def of_documents(model, corpus: Corpus, seed: int) -> dict[str, Any]:
    """Nats a token of the first test rows, beside a reader that knows frequencies alone."""
    source = text.TextSource(corpus, model.source_config, seed)
    nats, counted = 0.0, np.zeros(corpus.tokenizer.num_tokens)
    for batch in source.passes(TEST, MAX_TEST_ROWS):
        document, tokens = batch.trials["document"], batch.trials["tokens"]
        asked = (document[..., 1:] == document[..., :-1]) & (document[..., 1:] >= 0)
        nats += float(np.asarray(model.nats(batch, ()), np.float64)[asked].sum())
        counted += np.bincount(tokens[..., 1:][asked], minlength=len(counted))
    trained = np.ones(len(counted))  # each token once more, so that none is impossible
    for batch in source.passes(TRAIN, MAX_TEST_ROWS):
        known = batch.trials["document"] >= 0
        trained += np.bincount(batch.trials["tokens"][known], minlength=len(counted))
    number = counted.sum()
    floor = float(-(counted * np.log(trained / trained.sum())).sum() / number)
    return {
        "nats_per_token": nats / number,
        "perplexity": float(np.exp(nats / number)),
        "num_tokens": int(number),
        "floors": {"frequencies": {"nats_per_token": floor}},
    }


def _how(model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What scores of all texts have in common, see `text_scores.score_texts`."""
    asked = {name: settings[name] for name in ("tokens_per_pass", "after_end")}
    return {"context": model.recipe.model.config.num_positions, **asked}


def of_pairs(model, tokenizer, pairs, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The `pairs` block of texts, whole and by changed passages."""
    how = _how(model, settings)
    prompted = how | {name: settings[name] for name in ("prompt", "score_prompt")}
    texts = [one for pair in pairs for one in pair.texts]
    scored = text_scores.score_texts(model, tokenizer, texts, **prompted)
    passages = [
        (number, passage)
        for number, pair in enumerate(pairs)
        for passage in text_scores.changed_passages(pair.texts)
        if passage != pair.texts
    ]
    alone = text_scores.score_texts(
        model, tokenizer, [one for _, both in passages for one in both], **how
    )
    numbers = [number for number, _ in passages]
    return pair_scores.pairs_block(
        pairs,
        list(zip(scored[::2], scored[1::2], strict=True)),
        list(zip(numbers, zip(alone[::2], alone[1::2], strict=True), strict=True)),
        settings,
        seed,
    )


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(text_report.terminal_table(evaluation))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    text_report.write(Path(folder), evaluation, metrics, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `text_report.compared`."""
    found = text_report.compared(records)
    if len(found[0]) < 2:
        raise InputError("no run has scores of texts; evaluate them again")
    return found
