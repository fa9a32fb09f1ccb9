"""What docs/your_data.md says of each kind of file: its commands run, and it names every option."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from neurojax import open_dataset
from neurojax.data.readers.registry import MODULES, reader_of
from neurojax.main import VERBS, main

PAGE = (Path(__file__).resolve().parents[2] / "docs/your_data.md").read_text()
FRAME, ALF, BRAINWIDE, EMG, EEG = (
    PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for title in ("Files of each kind", "ALF folders", "BrainWideBench", "EMG", "EEG")
)


def commands(section):
    blocks = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def make_arrays(root):
    for day in ("day1", "day2"):
        folder = root / "M1" / day
        folder.mkdir(parents=True)
        np.savez(folder / "spikes.npz", counts=np.random.default_rng(0).poisson(0.3, (30, 20, 5)), bin_size_s=0.02)
    (root / "day1").mkdir()
    np.savez(root / "day1/spikes.npz", counts=np.random.default_rng(0).poisson(0.3, (30, 20, 5)), bin_size_s=0.02)


def make_alf(root):
    rng = np.random.default_rng(0)
    for number in ("001", "002"):
        alf = root / "lab/Subjects/M1/2024-01-01" / number / "alf"
        for probe in ("probe00", "probe01"):
            (alf / probe).mkdir(parents=True)
            np.save(alf / probe / "spikes.times.npy", np.sort(rng.uniform(0, 100, 6000)))
            np.save(alf / probe / "spikes.clusters.npy", rng.integers(0, 6, 6000))
            np.save(alf / probe / "clusters.channels.npy", np.arange(6))
            (alf / probe / "clusters.metrics.csv").write_text(
                "cluster_id,label\n" + "\n".join(f"{unit},{1 if unit < 3 else 0}" for unit in range(6))
            )
        onset = np.arange(30) * 3.0 + 2
        for name, shift in (("stimOn_times", 0.0), ("response_times", 1.0), ("firstMovement_times", 0.5)):
            np.save(alf / f"_ibl_trials.{name}.npy", onset + shift)
        np.save(alf / "_ibl_trials.choice.npy", np.tile([-1.0, 1.0], 15))
    make_cori(root)


def make_cori(root):
    """A folder of another lab: its own names, files without alf/."""
    folder = root / "allData/Cori_2016-12-14"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    arrays = {
        "spikes.times": np.sort(rng.uniform(0, 100, 6000)),
        "spikes.clusters": rng.integers(0, 6, 6000),
        "clusters.peakChannel": np.arange(1, 7),
        "clusters._phy_annotation": np.array([2, 2, 2, 2, 1, 0]),
        "trials.visualStim_times": np.arange(30) * 3.0 + 2,
        "trials.response_choice": np.tile([-1.0, 1.0], 15),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values[:, None])
    np.save(folder / "spontaneous.intervals.npy", np.array([[0.0, 21.0], [50.0, 70.0]]))
    rows = "".join(f"{k}\t20\t30\t{'CA1' if k < 3 else 'VISp'}\n" for k in range(6))
    (folder / "channels.brainLocation.tsv").write_text(f"ccf_ap\tccf_dv\tccf_lr\tallen_ontology\n{rows}")


def make_brainwide(root):
    (root / "eval").mkdir()
    rng = np.random.default_rng(0)
    with pytest.importorskip("h5py").File(root / "eval/day1.h5", "w") as file:
        file["spikes/timestamps"], file["spikes/unit_index"] = np.sort(rng.uniform(0, 90, 6000)), np.arange(6000) % 6
        file["units/id"], file["units/region_allen"] = np.arange(6), np.array([b"CA1"] * 6)
        file["units/region_beryl"] = np.array([b"CA1"] * 6)
        file["domain/start"], file["domain/end"] = [0.0], [90.0]
        file["trials/stim_on_time"] = np.arange(29) * 3.0 + 1
        for name, start in (("train", 0.0), ("val", 30.0), ("test", 60.0)):
            file[f"ts2_{name}_domain/start"], file[f"ts2_{name}_domain/end"] = [start], [start + 30]


def make_emg(root):
    (root / "people").mkdir()
    rows = ["person,fold"]
    names = {"segment_offsets": [0, 400, 800], "gesture": [0, 1], "gesture_names": np.array(["rest", "fist"])}
    for person in range(10):
        emg = np.random.default_rng(person).normal(size=(800, 4)).astype(np.float32)
        np.savez(root / f"people/p{person}.npz", emg=emg, sampling_rate_hz=200.0, **names)
        rows.append(f"p{person},{person % 5}")
    (root / "people/people.csv").write_text("\n".join(rows))
    own = names | {"segment_offsets": np.arange(5) * 400, "gesture": [0, 1, 0, 1], "repetition": [0, 0, 1, 1]}
    np.savez(root / "me.npz", emg=np.random.default_rng(9).normal(size=(1600, 4)), sampling_rate_hz=200.0, **own)


def make_eeg(root):
    rng = np.random.default_rng(0)
    names = {"channel_names": np.array(["TP9", "AF7", "AF8", "TP10"]), "sampling_rate_hz": 100.0, "unit": "uV"}
    events = {"event_sample": np.arange(0, 600, 50), "event_marker": np.arange(12) % 2}
    np.savez(root / "p1.npz", eeg=rng.standard_normal((600, 4)), run_offsets=[0, 200, 400, 600], **names, **events)
    (root / "subject1").mkdir()
    for run in range(3):
        rows = [f"{row / 256},{rng.random()},{rng.random()},{row % 128 == 60:d}" for row in range(512)]
        (root / f"subject1/run{run}.csv").write_text("\n".join(["timestamps,TP9,AUX,Marker", *rows]))


KINDS = {
    "arrays": (FRAME, make_arrays),
    "ibl": (ALF, make_alf),
    "brainwide": (BRAINWIDE, make_brainwide),
    "emg": (EMG, make_emg),
    "eeg": (EEG, make_eeg),
}
SHAPES = {  # sessions, trials and units of the first
    "data/days": (2, 30, 5), "data/named": (2, 30, 5), "data/joined": (1, 60, 5),
    "data/ibl": (2, 30, 12), "data/choice": (1, 30, 6), "data/windows": (2, 49, 6),
    "data/cori": (1, 30, 4), "data/rest": (1, 20, 5),
    "data/bwb": (1, 90, 6), "data/events": (1, 29, 6), "data/own": (1, 90, 6),
    "data/emg": (10, 70, 4), "data/fold": (10, 38, 4), "data/me": (1, 140, 4),
    "data/eeg": (1, 6, 4), "data/runs": (1, 6, 1), "data/chosen": (1, 9, 3),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "command"), [(kind, command) for kind, (section, _) in KINDS.items() for command in commands(section)]
)
def test_the_commands_run(tmp_path, monkeypatch, capsys, kind, command):
    monkeypatch.chdir(tmp_path)
    KINDS[kind][1](tmp_path)
    words = shlex.split(command, comments=True)[1:]
    if "--help" in words:
        with pytest.raises(SystemExit):
            main(words)
        return
    assert main(words) == 0, capsys.readouterr().err
    if "--guess" in words:
        assert "neurojax convert arrays day1" in capsys.readouterr().out
        return
    (out,) = (word.removeprefix("--out=") for word in words if word.startswith("--out="))
    sessions = open_dataset(out, verify="full").sessions
    assert (len(sessions), sessions[0].num_trials, sessions[0].num_units) == SHAPES[out]


def test_names_are_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_arrays(tmp_path)
    for command in commands(FRAME)[2:]:
        assert main(shlex.split(command)[1:]) == 0
    names = {
        root: [s.session_id for s in open_dataset(f"data/{root}").sessions] for root in ("days", "named", "joined")
    }
    assert names == {"days": ["day1_spikes", "day2_spikes"], "named": ["M1_day1", "M1_day2"], "joined": ["M1"]}


@pytest.mark.parametrize("kind", ["ibl", "brainwide", "emg", "eeg"])
def test_every_option_of_a_kind_is_in_its_table(kind):
    named = re.findall(r"^\| `(\w+)=", KINDS[kind][0], re.MULTILINE)
    assert sorted(named) == sorted(reader_of(kind).OPTIONS)


def test_the_frame_names_every_kind_and_every_flag():
    assert [kind for kind in MODULES if not re.search(rf"^\| .*`{kind}`.* \|", FRAME, re.MULTILINE)] == []
    flags = {name for names, _ in VERBS["convert"][1:] for name in names if name.startswith("--")}
    elsewhere = {"--out", "--behaviour", "--options", "--num_workers", "--shard", "--overwrite"}  # on other pages
    assert [flag for flag in sorted(flags - elsewhere) if flag not in FRAME] == []
    links = re.findall(r"\]\(#([a-z-]+)\)", PAGE)
    titles = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    assert set(links) <= titles
