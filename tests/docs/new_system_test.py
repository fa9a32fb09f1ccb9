"""The three modules that docs/new_system.md shows, trained as they stand there."""

import importlib
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from neurojax.commands import config as config_files
from neurojax.data.session import TEST
from neurojax.train import run

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "new_system.md"
MODULES = {"models": "leaky", "objectives": "denoise", "data/sources": "recent"}
MAX_LINES = 60
BATCHING = ("sessions_per_batch", "trials_per_batch", "bucket_units", "session_temperature")


def blocks() -> dict[str, str]:
    """File named in a heading -> the code under it; "config" -> the last block."""
    text = PAGE.read_text()
    found = dict(re.findall(r"## [^\n]*`neurojax/([\w/]+\.py)`\n.*?```python\n(.*?)```", text, re.DOTALL))
    return found | {"config": re.search(r"## The config\n+```python\n(.*?)```", text, re.DOTALL)[1]}


@pytest.fixture(scope="module")
def modules_of_page(tmp_path_factory):
    """The modules of the page, importable where a file of the package would be."""
    folder = tmp_path_factory.mktemp("modules_of_page")
    with pytest.MonkeyPatch.context() as patch:
        for package_name, name in MODULES.items():
            place = folder / package_name
            place.mkdir(parents=True)
            (place / f"{name}.py").write_text(blocks()[f"{package_name}/{name}.py"])
            package = importlib.import_module("neurojax." + package_name.replace("/", "."))
            patch.setattr(package, "__path__", [*package.__path__, str(place)])
        yield folder


def test_each_module_of_the_page_is_short():
    for package_name, name in MODULES.items():
        code = blocks()[f"{package_name}/{name}.py"].splitlines()
        assert len([line for line in code if line.strip()]) < MAX_LINES, name


def test_the_modules_of_the_page_train_evaluate_and_prefer_late_trials(modules_of_page, tmp_path):
    changes = ["train.num_steps=12", "train.validate_every_steps=12", "data.synthetic.num_sessions=2"]
    changes += [
        "data.synthetic.num_trials=30",
        "data.trials_per_batch=8",
        "eval.num_boot=0",
        "eval.num_permutations=0",
        "sharding.data=1",
    ]
    plain = config_files.load(
        [f"--config={CHECKOUT / 'configs' / 'mtm.py'}", *(f"--config.{change}" for change in changes)]
        + ["--config.eval.baselines=train_mean"]
    )
    config = Settings(plain)
    exec(blocks()["config"], {"config": config})
    record = run.train_and_evaluate(plain, tmp_path / "run", log=lambda line: None)
    assert all(np.isfinite(record["mean"][task]["bps_pooled"]) for task in record["mean"])
    again = run.train_and_evaluate(plain, tmp_path / "run", log=lambda line: None)
    assert again["step"] == 12

    module = importlib.import_module("neurojax.data.sources.recent")
    sessions = run.run_folder.load_data(plain).sessions
    values = {name: plain["data"][name] for name in BATCHING}
    source = module.open_source(sessions, module.Config(**values, halving_trials=3.0), seed=0)
    drawn = np.concatenate([source.plan(index).trial.ravel() for index in range(20)])
    train = sessions[0].trials_of(0)
    assert drawn.mean() > np.mean(train) + 5
    np.testing.assert_array_equal(source.plan(7).trial, source.plan(7).trial)
    assert not set(drawn) & set(sessions[0].trials_of(TEST)) or len(sessions) > 1


class Settings:
    """A nested dict with its entries as attributes, as a config file sees them."""

    def __init__(self, values: dict):
        self.__dict__["values"] = values

    def __getattr__(self, name):
        return Settings(self.values[name])

    def __setattr__(self, name, value):
        self.values[name] = value


def test_denoise_hides_what_it_asks_for(modules_of_page):
    objective = importlib.import_module("neurojax.objectives.denoise")
    from neurojax.batch import Batch

    counts = np.ones((1, 2, 5, 4), np.float32)
    trials = {"counts": counts, "bin_valid": np.ones((1, 2, 5), bool)}
    batch = Batch(trials, {"unit_valid": np.ones((1, 4), bool)})
    config = objective.Config(hidden_share=0.5)
    query = objective.draw(jax.random.key(0), batch, 0, config)
    shown = np.asarray(objective.inputs(batch, query, config).counts)
    np.testing.assert_array_equal(shown == 0, np.asarray(query.entries))
    assert 0 < query.entries.sum() < counts.size
