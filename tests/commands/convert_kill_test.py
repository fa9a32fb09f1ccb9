"""A conversion killed at a random moment and started again; experiments/convert_kills does the same 50 times."""

import importlib.util
import random
import subprocess
import time
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "experiments" / "convert_kills" / "run.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("convert_kills", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_after_a_kill_the_same_command_gives_the_same_folders(bench, tmp_path):
    paths = bench.write_recordings(tmp_path / "recordings", sessions=6, trials=60)
    began = time.monotonic()
    subprocess.run(bench.command(paths, tmp_path / "quiet", 0), cwd=bench.REPOSITORY, check=True, capture_output=True)
    taken_s, expected = time.monotonic() - began, bench.digests(tmp_path / "quiet")
    for seed in range(2):
        moment_s = random.Random(seed).uniform(0.3, 0.9) * taken_s
        row = bench.one_kill(paths, tmp_path / "out", expected, moment_s, workers=0)
        assert row["exit_code"] == 0 and row["equal"], row
        assert row["of_them_whole"] == row["folders_left"], row
