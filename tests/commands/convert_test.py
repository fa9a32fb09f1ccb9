import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.commands import convert as convert_module
from neurojax.commands.conversion import left_out
from neurojax.commands.convert import convert
from neurojax.data.checks.findings import LEFT_OUT
from neurojax.data.readers import arrays
from neurojax.data.readers.registry import MODULES, check_options, reader_of
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError
from neurojax.main import main

RNG = np.random.default_rng(0)


def save(folder, name="s1.npz", **changes):
    folder.mkdir(exist_ok=True)
    counts = RNG.poisson(0.5, (12, 8, 4)).astype(np.uint8)
    np.savez(folder / name, **({"counts": counts, "bin_size_s": 0.01} | changes))
    return folder / name


def tree(root):
    """Every path below root, hidden ones too."""
    return sorted(os.path.relpath(os.path.join(base, name), root) for base, _, names in os.walk(root) for name in names)


def test_a_folder_of_recordings_becomes_a_dataset(tmp_path, capsys):
    for name in ("s10.npz", "s2.npz", "s1.npz"):
        save(tmp_path / "in", name, unit_region=np.array(["CA1", "CA1", "DG", "root"]))
    convert("arrays", [tmp_path / "in"], tmp_path / "out", bin_ms=20)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["s1", "s2", "s10"]
    assert lines[0].startswith("s1: 12 trials x 4 bins x 4 units, ") and lines[0].endswith(" Hz, 2 regions")
    dataset = open_dataset(tmp_path / "out", verify="full")
    assert [session.session_id for session in dataset.sessions] == ["s1", "s10", "s2"]
    assert dataset.bin_size_s == 0.02


def test_a_second_run_changes_nothing_and_a_damaged_session_is_made_again(tmp_path, capsys):
    save(tmp_path / "in"), save(tmp_path / "in", "s2.npz")
    convert("arrays", [tmp_path / "in"], tmp_path / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("s*/*")}
    capsys.readouterr()
    convert("arrays", [tmp_path / "in"], tmp_path / "out")
    assert capsys.readouterr().out == "s1: unchanged, left alone\ns2: unchanged, left alone\n"
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("s*/*")}
    os.truncate(tmp_path / "out/s1/counts.npy", 200)
    convert("arrays", [tmp_path / "in"], tmp_path / "out")
    assert "s1: 12 trials" in capsys.readouterr().out
    open_dataset(tmp_path / "out", verify="full")


def test_another_source_or_option_is_refused_until_overwrite(tmp_path):
    path = save(tmp_path / "in")
    convert("arrays", [path], tmp_path / "out")
    before = open_dataset(tmp_path / "out").fingerprint
    with pytest.raises(InputError, match="made with other options.*--overwrite"):
        convert("arrays", [path], tmp_path / "out", bin_ms=20)
    save(tmp_path / "in")
    with pytest.raises(InputError, match="made from another file"):
        convert("arrays", [path], tmp_path / "out")
    assert open_dataset(tmp_path / "out", verify="full").fingerprint == before
    convert("arrays", [path], tmp_path / "out", bin_ms=20, overwrite=True)
    assert open_dataset(tmp_path / "out").bin_size_s == 0.02


def test_one_bad_recording_does_not_stop_the_rest(tmp_path, capsys):
    save(tmp_path / "in"), save(tmp_path / "in", "s3.npz")
    save(tmp_path / "in", "s2.npz", bin_size_s=20)
    (tmp_path / "in/s4.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 4 sessions failed \(s2, s4\); the first: .*bin_size_s is 20") as raised:
        convert("arrays", [tmp_path / "in"], tmp_path / "out")
    assert "\n" not in str(raised.value)
    out = capsys.readouterr().out
    assert "s2: FAILED" in out and "  s4: " in out and "cannot be read as .npz" in out
    assert [session.session_id for session in open_dataset(tmp_path / "out").sessions] == ["s1", "s3"]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"counts": np.full((12, 8, 4), np.nan)}, {}, "NaN"),
        ({"counts": np.full((12, 8, 4), -1)}, {}, "holds -1"),
        ({"counts": np.full((12, 8, 4), 0.5)}, {}, "holds 0.5"),
        ({"counts": np.zeros((12, 8, 0))}, {}, r"\[12, 8, 0\]"),
        ({"counts": np.zeros((1, 8, 4))}, {}, "1 trial, expected at least 3"),
        ({"counts": np.zeros((96, 4))}, {}, "no trials"),
        ({"extra": np.array([None], object)}, {}, "pickled"),
        ({"split": np.zeros(12, int)}, {}, "no test trial"),
        ({"split": np.full(12, 7)}, {}, r"holds \[7, 7, 7\]"),
        ({"bin_size_s": 10}, {}, "bin_size_s is 10"),
        ({}, {"bin_ms": 15}, "bin_ms=15"),
        ({}, {"behavior": ["wheel"]}, "'wheel'"),
        ({}, {"split": "blocks:9000s"}, "in 1 of the blocks of 9000 s, which leaves none"),
    ],
)
def test_a_failed_recording_leaves_nothing_behind(tmp_path, changes, options, message):
    save(tmp_path / "in", **changes)
    with pytest.raises(InputError, match=message) as raised:
        convert("arrays", [tmp_path / "in"], tmp_path / "out", **options)
    assert "s1.npz" in str(raised.value) or "session s1" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neurojax.data.store.session_format.write_npz", full_disk)
    with pytest.raises(InputError, match="No space left"):
        convert("arrays", [save(tmp_path / "in")], tmp_path / "out")
    assert tree(tmp_path / "out") == [] and os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("tape", ["x"]), {}, "kind 'tape'; expected one of arrays,.* synthetic"),
        (("arrays", []), {}, "no paths"),
        (("arrays", ["empty"]), {}, "holds no .npz or .mat"),
        (("arrays", ["none.npz"]), {}, "none.npz does not exist"),
        (("arrays", ["in/s1.npz", "other/s1.npz"]), {"session_id": "s1"}, "the name .s1. to both"),
        (("arrays", ["in"]), {"shard": "4/4"}, "shard='4/4'"),
        (("arrays", ["in"]), {"shard": "x"}, "shard='x'"),
        (("arrays", ["in"]), {"split": "half"}, "split='half'"),
        (("arrays", ["in"]), {"options": [("a", "1")]}, "options names 'a', which arrays recordings do not have"),
        (("arrays", ["in"]), {"options": [("a", "1"), ("a", "2")]}, "options names 'a' twice"),
        (("arrays", ["in"]), {"num_workers": -1}, "num_workers=-1"),
        (("synthetic", ["in"]), {}, "takes no paths"),
        (("synthetic", []), {"bin_ms": 20}, "takes no --bin_ms"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, monkeypatch, arguments, options, message):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in"), save(tmp_path / "other"), (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        convert(*arguments, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_out_may_not_be_a_file(tmp_path):
    path = save(tmp_path / "in")
    with pytest.raises(InputError, match="is a file"):
        convert("arrays", [path], path)


def test_bins_of_one_root_agree(tmp_path):
    save(tmp_path / "in", "a.npz"), save(tmp_path / "in", "b.npz", bin_size_s=0.02)
    with pytest.raises(InputError, match="session b has bins of 20 ms, but .* holds bins of 10 ms"):
        convert("arrays", [tmp_path / "in"], tmp_path / "out")
    convert("arrays", [tmp_path / "in"], tmp_path / "both", bin_ms=20)
    assert len(open_dataset(tmp_path / "both").sessions) == 2
    # Overwriting one of two would leave two bin sizes in one root.
    with pytest.raises(InputError, match="holds bins of 20 ms"):
        convert("arrays", [tmp_path / "in/a.npz"], tmp_path / "both", overwrite=True)
    assert open_dataset(tmp_path / "both", verify="full").bin_size_s == 0.02


def test_shards_cover_everything_once(tmp_path):
    for index in range(5):
        save(tmp_path / "in", f"s{index}.npz")
    for shard in ("0/2", "1/2"):
        convert("arrays", [tmp_path / "in"], tmp_path / "out", shard=shard)
    assert len(open_dataset(tmp_path / "out").sessions) == 5


def test_workers_give_the_same_dataset(tmp_path):
    for index in range(3):
        save(tmp_path / "in", f"s{index}.npz")
    save(tmp_path / "in", "bad.npz", bin_size_s=99)
    for out, num_workers in (("serial", 0), ("pool", 1)):
        with pytest.raises(InputError, match="bin_size_s is 99"):
            convert("arrays", [tmp_path / "in"], tmp_path / out, num_workers=num_workers)
    assert open_dataset(tmp_path / "serial").fingerprint == open_dataset(tmp_path / "pool").fingerprint
    assert tree(tmp_path / "serial") == tree(tmp_path / "pool")


def test_workers_start_by_themselves_when_they_pay(tmp_path, monkeypatch, capsys):
    for index in range(4):
        save(tmp_path / "in", f"s{index}.npz")
    pooled = []
    real = convert_module.convert_in_pool
    monkeypatch.setattr(convert_module, "convert_in_pool", lambda jobs, size: pooled.append(jobs) or real(jobs, size))
    convert("arrays", [tmp_path / "in"], tmp_path / "quick")
    assert pooled == []  # four small files are done before a worker has started
    monkeypatch.setattr(convert_module, "POOL_START_S", 0.0)
    convert("arrays", [tmp_path / "in"], tmp_path / "pool")
    assert [job.name for job in pooled[0]] == ["s1", "s2", "s3"]  # the first sets the bin size
    fingerprints = {open_dataset(tmp_path / name).fingerprint for name in ("quick", "pool")}
    assert len(fingerprints) == 1


def test_a_path_without_recordings_does_not_stop_the_rest(tmp_path, capsys):
    save(tmp_path / "in"), (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"1 of 2 sessions failed \(.*empty\).*holds no .npz or .mat"):
        convert("arrays", [tmp_path / "empty", tmp_path / "in"], tmp_path / "out")
    assert len(open_dataset(tmp_path / "out").sessions) == 1


def test_what_a_killed_conversion_left_is_removed(tmp_path):
    save(tmp_path / "in"), save(tmp_path / "in", "s1.b.npz")
    convert("arrays", [tmp_path / "in"], tmp_path / "out")
    for name in (".s1.abcdefgh.tmp", ".s1.b.abcdefgh.tmp", ".other.abcdefgh.tmp"):
        shutil.copytree(tmp_path / "out/s1", tmp_path / "out" / name)
    (tmp_path / "out/.dataset.json.abcdefgh.tmp").write_text("{")
    convert("arrays", [tmp_path / "in/s1.npz"], tmp_path / "out")
    hidden = sorted(path.name for path in (tmp_path / "out").glob(".*"))
    assert hidden == [".other.abcdefgh.tmp", ".s1.b.abcdefgh.tmp"]  # sessions that this command does not write
    open_dataset(tmp_path / "out", verify="full")


def test_a_defect_is_not_sold_as_bad_input(tmp_path, monkeypatch):
    save(tmp_path / "in"), save(tmp_path / "in", "s2.npz")
    real = arrays.read_session
    monkeypatch.setattr(arrays, "read_session", lambda path, spec: real(path, spec) if "s2" in path else 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        convert("arrays", [tmp_path / "in"], tmp_path / "out")
    assert [session.session_id for session in open_dataset(tmp_path / "out").sessions] == ["s2"]


def test_synthetic_animals_are_written_once(tmp_path, capsys):
    convert("synthetic", [], tmp_path / "out", shard="0/4")
    first = open_dataset(tmp_path / "out", verify="full")
    assert first.sessions[0].true_rates.shape == first.sessions[0].counts.shape
    capsys.readouterr()
    convert("synthetic", [], tmp_path / "out", shard="0/4")
    assert "unchanged" in capsys.readouterr().out


def test_convert_says_what_check_would(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {"counts": rng.poisson(1.0, (20, 5, 6)).astype(np.uint8), "bin_size_s": 0.02}
    arrays |= {"trial_start_s": np.arange(20) * 0.05, "split": np.arange(20) % 3}  # a trial lasts 0.1 s
    np.savez(tmp_path / "day1.npz", **arrays)
    convert("arrays", [tmp_path / "day1.npz"], tmp_path / "out")
    line = capsys.readouterr().out
    assert "error: pairs of trials of different splits that share time: 19" in line
    assert "warning: no unit has a region" in line


@pytest.mark.parametrize(
    "options", [{"time_unit": "ms"}, {"max_gap_s": 0.5}, {"silence": "keep"}, {"strict": True}], ids=str
)
def test_every_flag_reaches_the_reader(tmp_path, monkeypatch, options):
    seen = []
    real = arrays.read_session
    monkeypatch.setattr(arrays, "read_session", lambda path, spec: seen.append(spec) or real(path, spec))
    path, words = save(tmp_path / "in"), []
    for name, value in options.items():
        words.append(f"--{name}" if value is True else f"--{name}={value}")
    assert main(["convert", "arrays", str(path), f"--out={tmp_path / 'out'}", *words]) == 0
    assert seen == [ReadSpec(**options)]
    assert main(["convert", "arrays", str(path), f"--out={tmp_path / 'out'}"]) == 2  # made with other options


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--time_unit=minutes", "time_unit='minutes'; expected s, ms"),
        ("--time_unit=samples", "time_unit='samples'; expected s, ms"),
        ("--max_gap_s=0", "max_gap_s=0.0; expected a number above 0"),
        ("--silence=gone", "silence='gone'; expected unobserved or keep"),
        ("--join=both", "join='both'; expected --join=units"),
        ("--sesion_id=a", "did you mean --session_id?"),
    ],
)
def test_flags_that_say_nothing(tmp_path, capsys, word, message):
    assert main(["convert", "arrays", str(save(tmp_path / "in")), f"--out={tmp_path / 'out'}", word]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", sorted(MODULES))
def test_kinds_refuse_the_flags_they_have_no_use_for(tmp_path, kind):
    values = {"bin_ms": 20, "window_s": 2, "behavior": ["a"], "trial_columns": ["a"], "time_unit": "ms"}
    values |= {"max_gap_s": 0.5, "silence": "keep", "strict": True}
    values |= {"align": "a", "window": (0, 1)}
    values.setdefault("window_from_s", None)  # no flag: `--join` sets it
    unused = getattr(reader_of(kind), "UNUSED", ())
    for name in set(unused) - {"window_from_s"}:
        options = {name: values[name]}
        options |= {"align": "a", "window": (0, 1)} if name in ("align", "window") else {}
        with pytest.raises(InputError, match=f"{name if name != 'window' else 'align'} .*no use for it"):
            convert(kind, [tmp_path], tmp_path / "out", **options)
    assert not set(unused) - values.keys()


def test_an_option_at_its_default_is_not_given():
    check_options("emg", ReadSpec())  # silence has a default that is not empty


@pytest.mark.parametrize("verb", ["convert", "check", "train", "predict", "export", "doctor"])
def test_a_path_that_is_no_text_is_refused_at_once(tmp_path, monkeypatch, capsys, verb):
    monkeypatch.chdir(tmp_path)
    bad = os.fsdecode(b"r\xff\xfe")
    words = {"convert": ["arrays", "s1.npz", f"--out={bad}"], "check": [bad]}.get(verb, [f"--workdir={bad}"])
    words += ["--out=there"] if verb in ("predict", "export") else []
    words += ["--config=none.py"] if verb == "train" else []
    assert main([verb, *words]) == 2
    assert r"r\xff\xfe is not valid UTF-8" in capsys.readouterr().err and os.listdir(tmp_path) == []


def test_what_was_left_out_is_one_line(tmp_path, capsys):
    counts = RNG.poisson(0.5, (12, 8, 4)).astype(np.float64)
    counts[3], counts[:, :, 2] = np.nan, np.nan
    save(tmp_path / "in", counts=counts)
    convert("arrays", [tmp_path / "in"], tmp_path / "out")
    (line, *_) = capsys.readouterr().out.splitlines()
    assert line.endswith("; left out: 1 trial, 1 unit")


@settings(deadline=None)
@given(
    trials=st.dictionaries(st.text(max_size=5), st.integers(0, 2000), max_size=3),
    units=st.dictionaries(st.text(max_size=5), st.integers(0, 5), max_size=3),
    parts=st.integers(0, 3),
    samples=st.integers(0, 3),
)
def test_what_was_left_out_is_counted_and_zeros_are_not(trials, units, parts, samples):
    odd = {f"{LEFT_OUT} (wheel: {n})": 1 for n in range(parts)}
    odd |= {"samples of behaviour without a time or a value": samples, "units without spikes": 7}
    told = left_out({"trials_dropped": trials, "units_dropped": units, "findings": odd, "spikes_dropped": None})
    numbers = {"trial": sum(trials.values()), "unit": sum(units.values()), "sample": samples, "part": parts}
    words = told.replace(",", "").split() if told else []
    found = {word.removesuffix("s"): int(number) for number, word in zip(words[::2], words[1::2], strict=True)}
    assert found == {name: number for name, number in numbers.items() if number}


def test_a_recording_whose_name_is_no_text_is_refused_in_words(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"d\xff")
    path = save(folder, os.fsdecode(b"day\xfe.npz"))
    assert main(["convert", "arrays", str(path), f"--out={tmp_path / 'out'}"]) == 2
    assert r"day\xfe.npz is not valid UTF-8" in capsys.readouterr().err
    assert main(["convert", "--guess", str(path)]) == 2
    assert r"day\xfe.npz is not valid UTF-8" in capsys.readouterr().err
    path.rename(folder / "day.npz")  # the folder above is recorded nowhere
    assert main(["convert", "arrays", str(folder / "day.npz"), f"--out={tmp_path / 'out'}"]) == 0


def test_lines_about_sessions_hold_no_control_codes(tmp_path, capsys):
    (tmp_path / "a\x1b[31m").mkdir()  # holds no recording
    assert main(["convert", "arrays", str(tmp_path / "a\x1b[31m"), f"--out={tmp_path / 'o'}"]) == 2
    done = capsys.readouterr()
    assert "\x1b" not in done.out + done.err and r"a\x1b[31m: FAILED" in done.out
