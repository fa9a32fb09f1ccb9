"""BrainBench of a trained run: what is stored, ties, floors and ceilings, other files, refusals."""

import json
import tracemalloc

import numpy as np
import pytest

from neurojax.data.readers.text_pairs import TextPair
from neurojax.data.synthetic import findings
from neurojax.errors import InputError
from neurojax.evals import brainbench, pair_scores
from neurojax.evals.text_scores import TextScore
from neurojax.main import main
from neurojax.report import text_report
from tests.configs_test import CONFIGS

SETTINGS = {
    "protocol": "brainbench", "tokens_per_pass": 256, "normalised_by": "tokens", "prompt": "", "score_prompt": False,
    "after_end": True, "num_bins": 2, "num_boot": 100,
}  # fmt: skip


def score(nats, tokens=10):
    return TextScore(nats, tokens, 5 * tokens, 2 * tokens)


def test_the_block_by_hand():
    pairs = [TextPair(("a", "b"), 0, "x"), TextPair(("a", "b"), 1, "x"), TextPair(("a", "b"), 1, "y")]
    scores = [(score(10.0), score(20.0)), (score(10.0), score(10.0)), (score(30.0), score(20.0))]
    block = pair_scores.pairs_block(pairs, scores, [(0, scores[1]), (2, scores[2])], SETTINGS, 0)
    assert block["accuracy"] == pytest.approx(2 / 3) and block["num_ties"] == 1
    assert block["groups"] == {"x": {"accuracy": 0.5, "num_items": 2}, "y": {"accuracy": 1.0, "num_items": 1}}
    assert block["no_context"] == {"accuracy": 0.5, "num_passages": 2}
    assert [one["expects"] for one in block["items"]] == [0, None, 1]
    assert block["items"][0]["certainty"] == pytest.approx(np.exp(2) - np.exp(1))
    given = np.mean([1 / (1 + np.exp(-10)), 0.5, 1 / (1 + np.exp(-10))])
    assert block["calibration"]["mean_probability"] == pytest.approx(given)
    assert "best_reader" not in block
    json.dumps(block, allow_nan=False)


def test_a_repeated_pair_is_no_second_witness_and_an_interval_stays_a_share():
    pairs = [TextPair(("a", "b"), 0), TextPair(("b", "a"), 1), TextPair(("c", "d"), 0), TextPair(("e", "e"), 0)]
    scores = [(score(10.0), score(20.0)), (score(20.0), score(10.0)), (score(30.0), score(20.0))]
    scores.append((score(10.0), score(10.0)))
    block = pair_scores.pairs_block(pairs, scores, [], SETTINGS, 0)
    assert (block["accuracy"], block["num_ties"], block["num_repeated"]) == (0.5, 1, 1)
    told = dict(text_report.rows({"pairs": block}))
    assert told["both texts as likely, counted as wrong"] == "1"
    assert told["pairs that stand there once more, counted each time"] == "1"
    low, high = block["accuracy_ci95"]
    assert 0 <= low < 0.5 < high <= 1
    # Two right answers to one pair: not certainty, but what one pair can say (Wilson).
    alike = pair_scores.pairs_block(pairs[:2], scores[:2], [], SETTINGS, 0)
    assert alike["accuracy"] == 1 and alike["accuracy_ci95"] == [pytest.approx(1 / (1 + 1.959964**2)), 1.0]


def test_a_longer_text_is_not_less_likely_for_its_length():
    """The false version has more nats in all, but fewer a token."""
    scores = [(score(10.0, 10), score(12.0, 20))]
    found = pair_scores.pairs_block([TextPair(("a", "b"), 0)], scores, [], SETTINGS, 0)
    assert found["accuracy"] == 0.0
    words = pair_scores.pairs_block([TextPair(("a", "b"), 0)], scores, [], SETTINGS | {"normalised_by": "words"}, 0)
    assert words["accuracy"] == 0.0 and words["accuracy_by_unit"] == {"tokens": 0.0, "bytes": 0.0, "words": 0.0}


def test_made_up_pairs_have_a_ceiling_and_questions_no_accuracy():
    pairs = [TextPair(("a", "b"), 0, "", 0.9), TextPair(("a", "b"), 1, "", 0.8)]
    scores = [(score(10.0), score(20.0))] * 2
    block = pair_scores.pairs_block(pairs, scores, [], SETTINGS, 0)
    assert block["best_reader"] == {"expected_accuracy": pytest.approx(0.85), "accuracy": 0.5}
    assert block["share_of_best"] == 1.0
    asked = pair_scores.pairs_block([TextPair(("a", "b"), None)], scores[:1], [], SETTINGS, 0)
    assert asked["accuracy"] is None and "no pair says" in asked["accuracy_reason"]
    assert asked["items"][0]["expects"] == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"protocol": "mtm"}, "not one of language models"),
        ({"normalised_by": "letters"}, "choose from tokens, bytes, words"),
        ({"tokens_per_pass": 0}, "eval.tokens_per_pass"),
        ({"after_end": 1}, "eval.after_end"),
        ({"num_boot": True}, "eval.num_boot"),
        ({"num_boot": 1}, "eval.num_boot='1'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        brainbench.about(SETTINGS | wrong)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of a few steps on made-up findings."""
    folder = tmp_path_factory.mktemp("text") / "run"
    path = next(path for path in CONFIGS if path.stem == "causal_lm")
    small = {
        "data.synthetic.num_documents": 300, "data.synthetic.num_pairs": 40, "data.trials_per_batch": 4,
        "data.context_tokens": 32, "model.num_positions": 32, "model.width": 16, "model.num_layers": 1,
        "model.num_heads": 2, "model.num_kv_heads": 2, "model.mlp_width": 16, "train.num_steps": 3,
        "train.validate_every_steps": 2, "eval.tokens_per_pass": 256, "eval.num_boot": 50, "sharding.data": 1,
    }  # fmt: skip
    changed = [f"--config.{name}={value}" for name, value in small.items()]
    assert main(["train", f"--config={path}", f"--workdir={folder}", *changed]) == 0
    return folder


def test_a_run_is_evaluated_beside_its_ceiling(run_folder, capsys):
    record = json.loads((run_folder / "evaluation.json").read_text())
    assert record["protocol"] == "brainbench"
    assert record["pairs"]["num_items"] == 40 and record["pairs"]["best_reader"]["expected_accuracy"] > 0.7
    assert record["text"]["num_tokens"] > 300 and record["text"]["nats_per_token"] < np.log(400)
    assert "report.html" in {path.name for path in run_folder.iterdir()}
    assert (run_folder / "tokenizer.json").is_file()


def test_other_pairs_are_scored_whatever_their_length(run_folder, tmp_path, capsys):
    long = "Dopamine rises in mice. " * 30
    path = tmp_path / "pairs.csv"
    path.write_text(
        "journal_section,original_abstract,incorrect_abstract\n"
        f"Systems,{long}It was velarin.,{long}It was no velarin.\nCells,Rates rise.,Rates fall.\n"
    )
    command = ["evaluate", f"--workdir={run_folder}", "--protocol=brainbench", f"--data={path}"]
    assert main([*command, f"--out={tmp_path / 'one.json'}"]) == 0
    block = json.loads((tmp_path / "one.json").read_text())["pairs"]
    assert block["num_items"] == 2 and set(block["groups"]) == {"Systems", "Cells"}
    assert "best_reader" not in block and block["no_context"]["num_passages"] == 1
    assert "2 pairs of texts" in capsys.readouterr().out
    # Nothing but the pair itself decides over its score.
    path.write_text("original_abstract,incorrect_abstract\nRates rise.,Rates fall.\n")
    assert main([*command, f"--out={tmp_path / 'two.json'}"]) == 0
    alone = json.loads((tmp_path / "two.json").read_text())["pairs"]["items"][0]["perplexity"]
    assert alone == block["items"][1]["perplexity"][::-1]


def test_another_protocol_and_another_tokenizer_are_refused(run_folder, tmp_path, capsys):
    assert main(["evaluate", f"--workdir={run_folder}", "--protocol=mtm"]) == 2
    assert "expected brainbench" in capsys.readouterr().err
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"texts": ["a", "b"]}\n')
    kept = (run_folder / "tokenizer.json").read_bytes()
    try:
        words = {"format": "neurojax words", "words": [f"w{n}" for n in range(999)]}
        (run_folder / "tokenizer.json").write_text(json.dumps(words))
        assert main(["evaluate", f"--workdir={run_folder}", f"--data={path}", f"--out={tmp_path / 'o.json'}"]) == 2
    finally:
        (run_folder / "tokenizer.json").write_bytes(kept)
    assert "use the tokenizer.json that the run was trained with" in capsys.readouterr().err


def test_hypotheses_are_calibrated_on_stored_pairs_and_told_with_a_caution(run_folder, tmp_path, capsys):
    text, out = tmp_path / "mine.jsonl", tmp_path / "mine.json"
    text.write_text('{"texts": ["in awake mice", "in anaesthetised mice"], "group": "g"}\n{"texts": ["a b", "b a"]}\n')
    command = ["predict", f"--workdir={run_folder}", "--protocol=brainbench", f"--text={text}", f"--out={out}"]
    assert main(command) == 0
    told, record = capsys.readouterr().out, json.loads(out.read_text())
    assert "no evidence" in told and "calibrated on 40 stored pairs" in told and "pair 2: expects" in told
    assert record["calibration"]["num_items"] == 40 and "no evidence" in record["caution"]
    first = record["pairs"][0]
    assert first["group"] == "g" and first["expects"] == int(first["perplexity"][1] < first["perplexity"][0])
    low, high = first["probability_ci95"]
    assert 0 < low <= first["probability"] <= high < 1
    # Other pairs to calibrate on: here those very items, so that nothing changes but where they come from.
    pairs = made_up_pairs(run_folder)
    assert main([*command, f"--data={write_pairs(tmp_path, pairs)}"]) == 0
    assert json.loads(out.read_text())["pairs"][0]["probability"] == pytest.approx(first["probability"], rel=1e-6)


def made_up_pairs(run_folder):
    config = json.loads((run_folder / "config.json").read_text())
    return findings.pairs(findings.FindingsSpec(**config["data"]["synthetic"]), config["seed"])


def write_pairs(folder, pairs):
    path = folder / "stored.jsonl"
    path.write_text("".join(json.dumps({"texts": pair.texts, "label": pair.label}) + "\n" for pair in pairs))
    return path


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--task=forward"], "are of recordings; leave them out"),
        (["--protocol=mtm"], "expected brainbench"),
        (["--data={few}"], "expected 20 or more"),
    ],
)
def test_hypotheses_that_cannot_be_answered_are_refused(more, words, run_folder, tmp_path, capsys):
    text, few = tmp_path / "mine.jsonl", tmp_path / "few.jsonl"
    text.write_text('{"texts": ["a", "b"]}\n')
    few.write_text('{"texts": ["a", "b"], "label": 0}\n')
    command = ["predict", f"--workdir={run_folder}", f"--text={text}", f"--out={tmp_path / 'out.json'}"]
    assert main([*command, *(word.format(few=few) for word in more)]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out.json").exists()


def test_questions_are_evaluated_from_the_command_line(run_folder, tmp_path, capsys):
    path, out = tmp_path / "q.jsonl", tmp_path / "q.json"
    entry = {"question": "in awake mice", "answers": ["we recorded", "area alpha"], "true": [0], "repeated": 2}
    path.write_text(json.dumps(entry) + "\n")
    assert main(["evaluate", f"--workdir={run_folder}", f"--data={path}", f"--out={out}"]) == 0
    block = json.loads(out.read_text())["questions"]
    assert block["num_questions"] == 1 and len(block["items"][0]["nats"]) == 2
    told = capsys.readouterr().out
    assert "true answers, 1 questions" in told and "all true, or all false" in told


def test_texts_of_pairs_are_held_once():
    """One long text among many short ones."""
    pairs = [TextPair((str(number), "x" * 50_000 if number == 0 else "b"), 0) for number in range(200)]
    scores = [(score(10.0), score(20.0))] * len(pairs)
    tracemalloc.start()
    block = pair_scores.pairs_block(pairs, scores, [], SETTINGS | {"num_boot": 10}, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert block["num_repeated"] == 0 and peak < 20e6  # an array of them all is 40 MB
