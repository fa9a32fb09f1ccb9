"""What docs/your_data.md says of sorting folders: its commands run, and it names every option."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from neurojax import open_dataset
from neurojax.data.readers import phy
from neurojax.main import main
from tests.data.readers.sortings_for_tests import phy_folder

PAGE = (Path(__file__).resolve().parents[2] / "docs/your_data.md").read_text()
SECTION = PAGE.partition("## Sorting folders")[2].partition("\n## ")[0]
COMMANDS = re.search(r"```bash\n(.*?)```", SECTION, re.DOTALL)[1].splitlines()


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Two probes, trials and behaviour above them."""
    root = tmp_path_factory.mktemp("days")
    group = "cluster_id\tgroup\n0\tnoise\n1\tgood\n2\tmua\n"
    for number in range(2):
        phy_folder(root / "day1" / f"imec{number}_ks4", seed=number, cluster_group__tsv=group)
    starts = np.arange(20) * 2.5 + 1
    rows = [f"{start},{start + 1},{start + 0.3},L" for start in starts]
    table = "start_s,stop_s,go_s,side\n" + "\n".join(rows)
    (root / "day1" / "trials.csv").write_text(table)
    (root / "day1" / "imec0_ks4" / "trials.csv").write_text(table)
    (root / "day1" / "behavior.csv").write_text("time_s,speed\n" + "\n".join(f"{t / 50},{t}" for t in range(2900)))
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(day, monkeypatch, command):
    monkeypatch.chdir(day)
    words = shlex.split(command)
    assert words[:3] == ["neurojax", "convert", "phy"] and main(words[1:]) == 0
    (out,) = (word.removeprefix("--out=") for word in words if word.startswith("--out="))
    (session,) = open_dataset(out, verify="full").sessions
    expected = {
        "data/windows": (29, 100, 4), "data/trials": (20, 50, 2), "data/cue": (20, 35, 4), "data/both": (20, 50, 8)
    }[out]  # fmt: skip
    assert (session.num_trials, session.trial_num_bins[0], session.num_units) == expected
    assert sorted(session.behaviour) == (["speed"] if out == "data/trials" else [])


def test_every_option_is_in_the_table():
    named = re.findall(r"^\| `(\w+)=", SECTION, re.MULTILINE)
    assert sorted(named) == sorted(phy.OPTIONS)
