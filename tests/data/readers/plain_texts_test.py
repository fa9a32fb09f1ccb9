"""Text files to a corpus: documents, splits and shards, and hostile files refused in a line."""

import json

import numpy as np
import pytest

from neurojax.data import text_tokens
from neurojax.data.readers import plain_texts
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store import corpus
from neurojax.main import main


def convert(path, out, *options):
    words = [f"--options={','.join(options)}"] if options else []
    return main(["convert", "text", str(path), f"--out={out}", *words])


def told_documents(made):
    return sorted(made.tokenizer.decode(made.tokens_of(n).tolist()) for n in range(len(made.length)))


def test_files_become_documents_of_known_words(tmp_path):
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("Rates rise.\n\nRates fall.\n")
    (folder / "deep" / "b.jsonl").write_text('{"text": "Rates rise in V1."}\n\n{"text": "  "}\n{"text": "é"}\n')
    (folder / "c.pdf").write_text("no text")
    assert convert(folder, tmp_path / "whole", "words=2") == 0
    made = corpus.open_corpus(tmp_path / "whole")
    assert told_documents(made) == ["Rates rise in V1.", "Rates rise.\n\nRates fall.", "é"]
    assert json.loads(made.tokenizer.content)["words"] == ["Rates", "rise"]
    assert convert(folder, tmp_path / "cut", "documents=blank_lines") == 0
    assert len(corpus.open_corpus(tmp_path / "cut").length) == 4
    # A corpus has the tokenizer that is named.
    named = f"tokenizer={tmp_path / 'whole' / 'tokenizer.json'}"
    assert convert(folder / "a.txt", tmp_path / "named", named) == 0
    assert corpus.open_corpus(tmp_path / "named").tokenizer.content == made.tokenizer.content


def test_copies_of_a_document_lie_in_one_split_and_every_split_has_some():
    texts = [f"w{n} rises" for n in range(400)]
    words = text_tokens.of_words(["rises"])
    (one,) = corpus.shards_of(texts * 2, words)
    split = one[2]
    np.testing.assert_array_equal(split[:400], split[400:])
    shares = [np.mean(split == name) for name in (TRAIN, VALIDATION, TEST)]
    assert 0.84 < shares[0] < 0.95 and min(shares[1:]) > 0.02


def test_shards_are_written_as_they_come_and_no_larger_than_asked(tmp_path):
    """What is not yet read cannot be in memory: a shard is on its way before the next text is asked for."""
    words, asked = text_tokens.of_words(["up", "down"]), []

    def texts():
        for number in range(10):
            asked.append(number)
            yield "up down up"

    shards = corpus.shards_of(texts(), words, at_most=7)
    assert len(next(shards)[0]) == 6 and len(asked) == 3
    corpus.write_shards(corpus.shards_of(texts(), words, at_most=7), words, tmp_path / "c")
    made = corpus.open_corpus(tmp_path / "c")
    assert [len(shard) for shard in made.shards] == [6] * 5 and told_documents(made) == ["up down up"] * 10


HOSTILE = {
    "no UTF-8": ("a.txt", b"fine\n\xff\xfe", "line 2 is not UTF-8"),
    "a zero byte": ("a.txt", b"fi\0ne", "a zero byte"),
    "no JSON": ("a.jsonl", b'{"text": "a"}\nno', "line 2 is no JSON"),
    "deep JSON": ("a.jsonl", b"[" * 100_000, "line 1 is no JSON"),
    "no text": ("a.jsonl", b'{"texts": "a"}', "line 1 has no text"),
    "nothing": ("a.txt", b" \n", "holds no text"),
    "another kind": ("a.pdf", b"%PDF", "is no text file that is known"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_line_and_leave_nothing(name, tmp_path, capsys):
    file, content, words = HOSTILE[name]
    (tmp_path / file).write_bytes(content)
    assert convert(tmp_path / file, tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert words in told and len(told.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("cut", plain_texts.CUTS)
def test_a_line_without_an_end_is_not_read_into_memory(cut, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plain_texts, "MAX_BYTES", 100)
    (tmp_path / "a.txt").write_text("a" * 101)
    assert convert(tmp_path / "a.txt", tmp_path / "out", f"documents={cut}") == 2
    assert "line 1: more than" in capsys.readouterr().err
    (tmp_path / "a.txt").write_text("a b c\n" * 40)
    code = convert(tmp_path / "a.txt", tmp_path / "out", f"documents={cut}")
    assert code == (0 if cut == "lines" else 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--options=word=3"], "options names 'word'"),
        (["--options=words=many"], "options words='many'"),
        (["--options=documents=pages"], "choose from files, lines, blank_lines"),
        (["--options=tokenizer=x,words=3"], "expected one of them"),
        (["--options=tokenizer=/nowhere/t.json"], "cannot be read"),
        (["--bin_ms=20"], "leave the others out"),
        (["--join"], "leave the others out"),
        (["--out=."], "holds something else"),
    ],
)
def test_options_that_text_does_not_have_are_refused(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("Rates rise.")
    assert main(["convert", "text", "a.txt", "--out=out", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_corpus_is_replaced_only_where_that_is_asked(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("Rates rise.")
    assert convert(tmp_path / "a.txt", tmp_path / "out") == 0
    assert convert(tmp_path / "a.txt", tmp_path / "out") == 2
    assert "holds a corpus already" in capsys.readouterr().err
    assert main(["convert", "text", str(tmp_path / "a.txt"), f"--out={tmp_path / 'out'}", "--overwrite"]) == 0
