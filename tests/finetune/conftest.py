"""A small pretrained run, and sessions it never saw."""

from pathlib import Path

import numpy as np
import pytest

from neurojax import main
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals as synthetic
from neurojax.train import run as train_run

CHECKOUT = Path(__file__).resolve().parents[2]
SPEC = synthetic.SyntheticSpec(
    num_sessions=4, min_units=20, max_units=24, num_trials=30, num_bins=10, regions=("CA1", "LP"), min_region_units=6,
    mean_rate_hz=25.0,
)  # fmt: skip
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.bucket_units=32", "train.num_steps=20"),
]
FAST = [
    *("data.trials_per_batch=4", "eval.num_boot=20", "eval.trials_per_pass=32", "eval.baselines=train_mean"),
    *("train.log_every_steps=8", "train.validate_every_steps=0", "train.save_every_steps=4"),
    "sharding.data=1",  # the Python door shares over all devices: adapt_test
]


def write_root(root: Path, sessions) -> Path:
    for session in sessions:
        write_session(session, root)
    write_dataset_index(root)
    return root


def part_of(old):
    """A session with another name and the first ten trials of an old one."""
    counts, split = old.gather_trials(np.arange(10))[0], np.repeat([0, 1, 2], [6, 2, 2])
    return from_counts(counts, bin_size_s=old.bin_size_s, session_id="part", split=split)


def pretrain(area: Path, *entries: str) -> list[str]:
    words = [f"--config.{entry}" for entry in (*TINY, *FAST, f"data.root={area / 'known'}", *entries)]
    return ["train", f"--config={CHECKOUT / 'configs' / 'mtm.py'}", *words]


def fine_tune(area: Path, workdir: Path, *entries: str) -> list[str]:
    """The command; roots by name: new (two unseen sessions), known (the two of the run), both."""
    common = ("train.num_steps=6", "finetune.unfreeze_step=3", f"init_from={area / 'run'}", f"data.root={area / 'new'}")
    words = [f"--config.{entry}" for entry in (*FAST, *common, *entries)]
    return ["train", f"--config={CHECKOUT / 'configs' / 'finetune.py'}", f"--workdir={workdir}", *words]


@pytest.fixture(scope="session")
def area(tmp_path_factory) -> Path:
    """run: trained on the two sessions of `known`; new: two others; both: all four."""
    area = tmp_path_factory.mktemp("transfer")
    sessions = synthetic.make_sessions(SPEC, seed=0)
    write_root(area / "known", sessions[:2])
    write_root(area / "new", sessions[2:])
    write_root(area / "both", sessions)
    with pytest.MonkeyPatch.context() as patch:  # scored where a test needs it
        patch.setattr(train_run, "evaluate_run", lambda *run, log: None)
        assert main.main([*pretrain(area), f"--workdir={area / 'run'}"]) == 0
    return area
