"""The page for people with their own data does what it says: its Python is run as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from neurojax import main as main_module
from neurojax import open_dataset
from neurojax.data.conversion import convert_session

CHECKOUT = Path(__file__).resolve().parents[2]
SMALL = [  # the run itself is tested elsewhere
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.trials_per_batch=4", "data.bucket_units=32", "eval.num_boot=20", "eval.baselines=train_mean"),
    *("train.num_steps=4", "train.log_every_steps=2", "train.validate_every_steps=4"),
]
SMALL = [f"--config.{entry}" for entry in SMALL]


@pytest.mark.parametrize("extra", [["--dry_run"], pytest.param(SMALL, marks=pytest.mark.slow)], ids=["dry", "trained"])
def test_the_code_of_the_page_runs(tmp_path, monkeypatch, extra):
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs/your_data.md").read_text(), re.DOTALL)
    training = blocks[1].replace("configs/mtm.py", str(CHECKOUT / "configs/mtm.py"))
    assert len(blocks) == 3 and training != blocks[1]
    assert len([line for line in blocks[1].splitlines() if line.strip()]) <= 10
    real = main_module.main
    monkeypatch.setattr(main_module, "main", lambda argv: real([*argv, *(extra if argv[0] == "train" else [])]))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in (blocks[0], training, blocks[2]):
        exec(compile(block, "docs/your_data.md", "exec"), names)
    assert (tmp_path / "runs/mine/report.html").is_file() == ("--dry_run" not in extra)
    (session,) = open_dataset(tmp_path / "data/mine", verify="full").sessions
    assert (session.num_trials, session.num_units) == (120, 40) and session.conditions["choice"].tolist() == list(
        names["choices"]
    )
    inside = (names["times"] % 3 < 1).sum()
    assert abs(int(session.counts.sum()) - int(inside)) <= 1
    again = convert_session(tmp_path / "day1.npz", out=tmp_path / "again")
    np.testing.assert_array_equal(np.load(again / "counts.npy"), session.counts)
