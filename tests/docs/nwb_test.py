"""docs/nwb.md: the command line takes each of its commands, and predictions are read as it shows."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands.predicted_nwb import predictions_as_nwb
from neurojax.data.readers.nwb import OPTIONS
from neurojax.data.readers.registry import check_options
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.sessions import from_counts
from neurojax.main import _parser, _split_config, main
from tests.data.readers.conftest import NUM_NWB_TRIALS, write_nwb_file
from tests.data.readers.nwb_observed_test import intervals, ragged
from tests.data.readers.nwb_traces_test import write_imaging

h5py = pytest.importorskip("h5py")

PAGE = (Path(__file__).resolve().parents[2] / "docs/nwb.md").read_text()


def test_the_command_line_takes_the_commands():
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("neurojax ")]
    assert len(commands) >= 9
    for command in commands:
        arguments = vars(_parser().parse_args(_split_config(command)[0]))
        if arguments["verb"] == "convert":
            window = None if arguments["window"] is None else tuple(arguments["window"])
            named = (
                "bin_ms",
                "align",
                "window_s",
                "behavior",
                "split",
                "options",
                "time_unit",
                "max_gap_s",
                "silence",
                "strict",
            )
            fields = {name: arguments[name] for name in named}
            check_options(arguments["kind"], ReadSpec(window=window, **fields))
    given = {
        name for options in re.findall(r"--options=(\S+=\S+)", PAGE) for name in re.findall(r"([a-z_]+)=", options)
    }
    assert given >= set(OPTIONS)  # one example of each


@pytest.fixture(scope="module")
def nwb_path(tmp_path_factory):
    return write_nwb_file(tmp_path_factory.mktemp("nwb") / "day1.nwb")


def add_what_the_page_names(path):
    """Tables of bad times and a second table of units; test trials without their held-out units."""
    with h5py.File(path, "r+") as file:
        intervals(file, "invalid_times", [[5.0, 6.0]])
        intervals(file, "artefacts", [[20.0, 26.0]])
        file.copy("units", file.require_group("processing/ecephys"), "curated")
        test = [[3.0 * trial + 1, 3.0 * trial + 3] for trial in range(NUM_NWB_TRIALS) if trial % 5 != 3]
        seen = [test if unit in (1, 4) else [[0.0, 200.0]] for unit in range(7)]
        for name in ("obs_intervals", "obs_intervals_index"):
            del file[f"units/{name}"]
        ragged(file["units"], "obs_intervals", seen)


def test_every_example_of_an_option_runs(nwb_path, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pynwb")
    monkeypatch.chdir(tmp_path)
    shutil.copy(nwb_path, "day1.nwb")
    add_what_the_page_names("day1.nwb")
    write_imaging("calcium.nwb")
    section = PAGE.partition("## Every option")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert len(commands) == 14
    for command in commands:
        assert main(command) == 0, (command, capsys.readouterr())
    capsys.readouterr()
    made = {name: open_dataset(f"data/{name}").sessions[0] for name in "abcdefghijklmn"}
    assert set(made["a"].conditions) >= {"tags"} and made["b"].region[0] == "shank0"
    assert made["c"].unit_id.tolist() == ["11", "13", "15"] and made["d"].num_units == 5
    assert "never observed" in made["e"].info["trials_dropped"] and made["f"].entry_valid([1])[0, :, 0].all()
    assert not made["j"].entry_valid([1])[0, :, 0].all()  # from 5 s to 6 s
    assert made["g"].validity is not None and made["g"].num_trials == 30
    for name, number, left in [("h", 24, "val"), ("i", 24, "drop"), ("j", 30, "")]:
        assert made[name].num_trials == number, left
    assert np.bincount(made["h"].split).tolist() == [18, 0, 6]
    assert np.bincount(made["n"].split).tolist() == [16, 2, 6]
    assert made["j"].info["licence"] == "CC-BY-4.0" and made["k"].behaviour_valid["speed"].mean() > 0.9
    assert (made["l"].num_units, made["m"].num_units) == (5, 6) and made["l"].observation == "real"


def test_predictions_are_read_as_shown(tmp_path, monkeypatch):
    pytest.importorskip("pynwb")
    block, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    session = from_counts(np.ones((5, 4, 3), int), bin_size_s=0.02, session_id="day1")
    expected = np.ones((1, 4, 3), np.float32)
    content = predictions_as_nwb(session, {"co_smoothing": expected}, session.trials_of(2), "c0ffee")
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/day1.nwb").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(block, "docs/nwb.md", "exec"), names)
    np.testing.assert_allclose(names["rates_hz"], np.full((4, 3), 50.0))
