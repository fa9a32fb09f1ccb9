"""What sessions are called, and several recordings as one session."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.commands.convert import convert
from neurojax.commands.session_names import filled, joined_name, named, part_names
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError
from neurojax.main import main

FOLDER = st.text("abM1_-.0 é", min_size=1, max_size=5).filter(lambda name: name.strip(".") == name)
PATHS = st.lists(st.lists(FOLDER, min_size=1, max_size=4), min_size=1, max_size=6, unique_by=tuple)


def recording(folder, name="spikes.npz", seed=0, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    counts = np.random.default_rng(seed).poisson(0.5, (12, 8, 4)).astype(np.uint8)
    np.savez(folder / name, **({"counts": counts, "bin_size_s": 0.02} | arrays))
    return folder / name


def sorting(folder, seed=0, num_units=5, last_s=60, first_unit=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    np.save(folder / "spike_times.npy", np.sort(rng.integers(0, 30000 * last_s, 5000)))
    np.save(folder / "spike_clusters.npy", first_unit + rng.integers(0, num_units, 5000).astype(np.int32))
    (folder / "params.py").write_text("sample_rate = 30000.0\n")
    return folder


def made(root):
    return sorted(path.name for path in root.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{stem}", "spikes"),
        ("{parent}_{stem}", "day1_spikes"),
        ("{parent2}", "M1"),
        ("{parent2}-{parent}", "M1-day1"),
        ("{0}_{1}", "data_M1"),
        ("{name}.x", "reader.x"),
        ("my session", "my_session"),
    ],
)
def test_templates(template, expected):
    assert filled(template, "reader", "data/M1/day1/spikes.npz") == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{day}", "no field 'day'; take {name}"),
        ("{0", "a brace too many"),
        ("{parent99}", "folders above it"),
        ("{7}", "parts as typed"),
        ("{}", "no field ''"),
        ("___", "session id"),
    ],
)
def test_templates_that_say_nothing(template, message):
    with pytest.raises(InputError, match=message):
        filled(template, "reader", "data/M1/day1/spikes.npz")


def test_addresses_have_parts_too():
    url = "https://host.org/M1/day1/spikes.nwb?version=2"
    assert filled("{0}_{parent}_{stem}", "x", url) == "host.org_day1_spikes"
    (one, other), _ = named([("spikes", url), ("spikes", url.replace("day1", "day2"))], None)
    assert (one[0], other[0]) == ("day1_spikes", "day2_spikes")


@settings(deadline=None, max_examples=80)
@given(PATHS)
def test_names_are_always_apart_and_safe(folders):
    sources = ["/" + "/".join([*parts, "spikes.npz"]) for parts in folders]
    try:
        recordings, told = named([("spikes", source) for source in sources], None)
    except InputError as error:
        assert "tell them apart" in str(error)
        return
    names = [name for name, _ in recordings]
    assert len(set(names)) == len(sources) and [source for _, source in recordings] == sources
    assert all(check_session_id(name) for name in names)
    assert bool(told) == (len(sources) > 1)
    if len(sources) == 1:
        assert names == ["spikes"]


@settings(deadline=None, max_examples=40)
@given(PATHS)
def test_names_that_differ_are_left_alone(folders):
    recordings = [(f"s{index}", "/".join(parts)) for index, parts in enumerate(folders)]
    assert named(recordings, None) == (recordings, [])


def test_the_same_file_twice_is_one_recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = recording(tmp_path / "day1")
    convert("arrays", [path, "day1/spikes.npz", "day1/../day1/spikes.npz"], tmp_path / "out")
    assert made(tmp_path / "out") == ["spikes"]


@pytest.mark.parametrize("kind", ["arrays", "mat", "phy", "brainwide"])
def test_one_name_in_each_folder_is_told_and_converted(tmp_path, capsys, kind):
    paths, options = [], []
    for day in ("day1", "day2", "day10"):
        folder = tmp_path / "in" / day / "raw"
        if kind == "phy":
            paths.append(sorting(folder / "sorted"))
            options = ["--window_s=2"]
        elif kind == "mat":
            folder.mkdir(parents=True)
            counts = np.random.default_rng(1).poisson(0.3, (30, 20, 5))
            pytest.importorskip("scipy.io").savemat(folder / "s.mat", {"counts": counts, "bin_size_s": 0.02})
            paths.append(folder / "s.mat")
        elif kind == "brainwide":
            folder.mkdir(parents=True)
            rng = np.random.default_rng(1)
            with pytest.importorskip("h5py").File(folder / "s.h5", "w") as file:
                file["spikes/timestamps"], file["spikes/unit_index"] = (
                    np.sort(rng.uniform(0, 60, 300)),
                    np.arange(300) % 4,
                )
                file["units/id"], file["domain/start"], file["domain/end"] = np.arange(4), [0.0], [60.0]
            paths.append(folder / "s.h5")
            options = ["--split=random"]
        else:
            paths.append(recording(folder))
    assert main(["convert", kind, *map(str, paths), f"--out={tmp_path / 'out'}", *options]) == 0
    names, out = made(tmp_path / "out"), capsys.readouterr().out
    assert len(names) == 3 and [
        name.startswith(day) for name, day in zip(names, ("day1", "day10", "day2"), strict=True)
    ]
    # phy may find names of its own
    assert all(name in out for name in names) and (kind == "phy" or "named by their folders" in out)
    assert main(["convert", kind, *map(str, paths), f"--out={tmp_path / 'out'}", *options]) == 0
    assert capsys.readouterr().out.count("unchanged") == 3


def test_folders_of_one_name_at_different_depths(tmp_path):
    paths = [recording(tmp_path / subject / "day1") for subject in ("M1", "M2")]
    paths.append(recording(tmp_path / "M1" / "day2"))
    convert("arrays", paths, tmp_path / "out")
    assert made(tmp_path / "out") == ["day1_M1_spikes", "day1_M2_spikes", "day2_M1_spikes"] or (
        made(tmp_path / "out") == ["M1_day1_spikes", "M1_day2_spikes", "M2_day1_spikes"]
    )


def test_a_name_of_ones_own(tmp_path):
    path = recording(tmp_path / "in", "spike data (1).npz")
    convert("arrays", [path], tmp_path / "out")
    convert("arrays", [path], tmp_path / "out", session_id="M1_day1")
    convert("arrays", [path], tmp_path / "out", session_id="{parent}_{stem}")
    assert made(tmp_path / "out") == ["M1_day1", "in_spike_data__1_", "spike_data__1_"]
    session, *_ = open_dataset(tmp_path / "out", verify="full").sessions
    assert session.session_id == "M1_day1"


def test_one_name_for_two_recordings_is_refused_before_work(tmp_path):
    paths = [recording(tmp_path / day) for day in ("a", "b")]
    with pytest.raises(InputError, match="'day' to both; tell them apart with a field that differs"):
        convert("arrays", paths, tmp_path / "out", session_id="day")
    assert not (tmp_path / "out").exists()


def test_probes_become_one_session(tmp_path, capsys):
    paths = [sorting(tmp_path / f"day1/imec{n}_ks4", seed=n, num_units=5 + n) for n in (0, 1)]
    words = ["convert", "phy", *map(str, paths), f"--out={tmp_path / 'out'}", "--window_s=2", "--join"]
    assert main(words) == 0
    assert "2 parts become session day1: imec0_ks4, imec1_ks4" in capsys.readouterr().out
    (session,) = open_dataset(tmp_path / "out", verify="full").sessions
    assert session.session_id == "day1" and session.num_units == 11
    assert session.unit_id[0] == "imec0_ks4:0" and session.unit_id[-1] == "imec1_ks4:5"
    assert (session.trial_start_s % 2 == 0).all()  # one grid, wherever the first spike lies
    assert main(words) == 0 and "unchanged" in capsys.readouterr().out
    assert main([*words[:-1], "--join=time"]) == 2 and "with other options" in capsys.readouterr().err


def test_blocks_become_one_session(tmp_path, capsys):
    ids = (np.array(["a", "b", "c", "d"]), np.array(["b", "c", "d", "e"]))
    for n in (0, 1):
        recording(tmp_path / "day1", f"block{n}.npz", seed=n, unit_id=ids[n], trial_start_s=n * 100 + np.arange(12.0))
    out = tmp_path / "out"
    assert main(["convert", "arrays", str(tmp_path / "day1"), "--join", f"--out={out}", "--session_id=both"]) == 0
    assert "joined as blocks" in capsys.readouterr().out
    (session,) = open_dataset(out, verify="full").sessions
    assert session.session_id == "both" and session.unit_id.tolist() == list("abcde")
    assert session.conditions["block"].tolist() == ["block0"] * 12 + ["block1"] * 12
    observed = session.entry_valid(np.arange(24))
    assert not observed[12:, :, 0].any() and not observed[:12, :, 4].any() and observed[:, :, 1:4].all()
    assert main(["check", str(out)]) == 0
    assert "units that some of the joined blocks lack" in capsys.readouterr().out


def test_probes_say_that_they_were_joined_as_probes(tmp_path, capsys):
    for n in (0, 1):
        recording(tmp_path / "day1", f"imec{n}.npz", seed=n)
    assert main(["convert", "arrays", str(tmp_path / "day1"), "--join", f"--out={tmp_path / 'out'}"]) == 0
    assert "joined as probes" in capsys.readouterr().out


def test_named_units_of_blocks_that_restart_their_clock_are_asked_about(tmp_path, capsys):
    for n, ids in enumerate((["c0", "c1", "c2", "c3"], ["c3", "c1", "c0", "d"])):
        recording(tmp_path / "day1", f"b{n}.npz", seed=n, unit_id=np.array(ids))
    words = ["convert", "arrays", str(tmp_path / "day1"), f"--out={tmp_path / 'out'}", "--session_id=day1"]
    assert main([*words, "--join"]) == 2 and "75% of their units alike" in capsys.readouterr().err
    assert main([*words, "--join=time"]) == 0


@pytest.mark.parametrize("how", ["--join", "--join=both"])
def test_what_cannot_be_told_is_asked(tmp_path, capsys, how):
    for n in (0, 1):
        recording(tmp_path / "day1", f"part{n}.npz", seed=n)
    assert main(["convert", "arrays", str(tmp_path / "day1"), how, f"--out={tmp_path / 'out'}"]) == 2
    assert "--join=time" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_join_of_one_or_of_a_bad_part_makes_nothing(tmp_path, capsys):
    recording(tmp_path / "day1", "a.npz")
    words = [f"--out={tmp_path / 'out'}", "--join=time"]
    assert main(["convert", "arrays", str(tmp_path / "day1/a.npz"), *words]) == 2
    assert "two recordings or more" in capsys.readouterr().err
    (tmp_path / "day1/b.npz").write_bytes(b"PK")
    assert main(["convert", "arrays", str(tmp_path / "day1"), *words]) == 2
    assert "b.npz" in capsys.readouterr().err
    assert main(["convert", "arrays", str(tmp_path / "day1"), str(tmp_path / "gone.mat"), "--shard=0/2", *words]) == 2
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


def test_names_of_parts_and_of_the_whole(tmp_path):
    assert part_names(["/d/M1/imec0/s.npz", "/d/M1/imec1/s.npz"]) == ["imec0", "imec1"]
    assert joined_name(["/d/M1/imec0/s.npz", "/d/M1/imec1/s.npz"], None) == "M1"
    assert joined_name(["/d/M1/a.npz", "/d/M1/b.npz"], "{parent}_all") == "M1_all"
    with pytest.raises(InputError, match="no common folder"):
        joined_name(["/a/x.npz", "/b/x.npz"], None)


@pytest.mark.parametrize("window_s", [2, 0.5])
def test_windows_of_parts_begin_on_one_grid(tmp_path, window_s):
    (tmp_path / "day1").mkdir()
    for n, first_s in enumerate((3.3, 5.17)):
        times = np.sort(np.random.default_rng(n).uniform(first_s, 60, 4000))
        arrays = {"spike_times_s": times, "spike_units": np.arange(4000) % 5}
        np.savez(tmp_path / "day1" / f"imec{n}.npz", **arrays)
    words = [
        "convert",
        "arrays",
        str(tmp_path / "day1"),
        f"--out={tmp_path / 'out'}",
        f"--window_s={window_s}",
        "--join",
    ]
    assert main(words) == 0
    (session,) = open_dataset(tmp_path / "out", verify="full").sessions
    np.testing.assert_allclose(session.trial_start_s % window_s, 0, atol=1e-9)
    observed = session.entry_valid(np.arange(session.num_trials))
    alone = session.trial_start_s < 5.17  # the second probe was not on yet
    assert alone.any() and not observed[alone][:, :, 5:].any() and observed[~alone].all()


def test_a_link_in_a_circle_is_a_recording_that_fails(tmp_path, capsys):
    (tmp_path / "a.npz").symlink_to(tmp_path / "a.npz")
    recording(tmp_path, "b.npz")
    words = ["convert", "arrays", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), f"--out={tmp_path / 'out'}"]
    assert main(words) == 2 and made(tmp_path / "out") == ["b"]
    assert "1 of 2 sessions failed (a)" in capsys.readouterr().err


@pytest.mark.parametrize("how", [["--join"], ["--join", "units"], ["--join=auto"]])
def test_join_alone_takes_no_path_for_its_value(tmp_path, how):
    paths = [str(recording(tmp_path / "day1", f"imec{n}.npz", seed=n)) for n in (0, 1)]
    assert main(["convert", f"--out={tmp_path / 'out'}", *how, "arrays", *paths]) == 0
    assert made(tmp_path / "out") == ["day1"]
