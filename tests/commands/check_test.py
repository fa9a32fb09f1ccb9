import builtins
import json

import numpy as np
import pytest

from neurojax.commands.check import check
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


@pytest.fixture
def root(tmp_path):
    for name in "ab":
        counts = np.random.default_rng(ord(name)).poisson(0.4, (20, 10, 6))
        session = from_counts(counts, bin_size_s=0.02, session_id=name, region=["CA1", "CA1", "$x", "DG", "", "root"])
        write_session(session, tmp_path)
    write_dataset_index(tmp_path)
    return tmp_path


def test_a_good_dataset_is_reported_and_drawn(root, capsys):
    pytest.importorskip("matplotlib")
    check(root)
    out = capsys.readouterr().out
    assert "2 sessions, 12 units, 40 trials, bins of 20 ms" in out
    assert "20 (14/2/4)" in out and out.count("\nusable") == 1
    assert (root / "check.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_strict_and_draws_only_when_asked(root, capsys):
    check(root, json_output=True)
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["usable"] and set(report["sessions"]) == {"a", "b"}
    assert not (root / "check.png").exists()


def test_without_matplotlib_the_extra_is_named(root, capsys, monkeypatch):
    real = builtins.__import__

    def no_matplotlib(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    check(root)
    assert 'pip install "neurojax[viz]"' in capsys.readouterr().out


def test_an_unwritable_figure_does_not_fail_the_check(root, capsys):
    pytest.importorskip("matplotlib")
    (root / "file").write_text("")
    check(root, figure=root / "file" / "x.png")
    assert "no figure" in capsys.readouterr().out


def test_an_unusable_session_is_one_line(root, capsys):
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 6))
    write_session(from_counts(counts, bin_size_s=0.02, session_id="c", split=np.zeros(20, int)), root)
    write_dataset_index(root)
    with pytest.raises(InputError, match="1 of 3 sessions are unusable; c: no test trial") as raised:
        check(root, json_output=True)
    assert "\n" not in str(raised.value)
    assert not json.loads(capsys.readouterr().out)["usable"]


def test_a_damaged_dataset_is_refused(root):
    content = bytearray((root / "a/counts.npy").read_bytes())
    content[-1] ^= 1
    (root / "a/counts.npy").write_bytes(content)
    with pytest.raises(InputError, match="counts does not match its checksum"):
        check(root)
    with pytest.raises(InputError, match="nowhere"):
        check(root / "nowhere")


def test_several_roots_are_compared(root, tmp_path_factory, capsys):
    other = tmp_path_factory.mktemp("other")
    rates = np.random.default_rng(0).gamma(1, 1, (60, 1, 12)) * np.ones((60, 10, 1))
    counts = np.random.default_rng(1).poisson(rates)
    for folder, name in ((root, "day"), (other, "again")):
        write_session(from_counts(counts, bin_size_s=0.02, session_id=name, region=["CA1"] * 12), folder)
        write_dataset_index(folder)
    check(root, other, json_output=True)
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["usable"] and set(report["roots"]) == {str(root), str(other)}
    (finding,) = report["findings"]
    assert "day and" in finding["sentence"] and finding["code"] == "same_units_in_two_roots"
    check(root, other)
    assert finding["remedy"] in capsys.readouterr().out
