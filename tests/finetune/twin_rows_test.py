"""A new animal on a digital twin: rows alone train, the core and known rows stay, places in cortex are its own."""

from pathlib import Path

import numpy as np
import pytest

from neurojax.commands import config
from neurojax.errors import InputError
from neurojax.models import twin as model
from neurojax.train import run, run_folder
from tests.configs_test import CONFIGS, SMALL, dataset_for, load
from tests.systems_test import leaves_of

TWIN = next(path for path in CONFIGS if path.stem == "twin")
QUIET = {"log": lambda line: None}


def fine_tuned(start: Path, *more: str):
    own = [entry for entry in SMALL["twin"] if entry.startswith("data.")]
    entries = (f"init_from={start}", *own, "train.num_steps=3", "train.validate_every_steps=0", *more)
    path = TWIN.with_name("finetune_twin.py")
    return config.load([f"--config={path}", *(f"--config.{entry}" for entry in entries)])


@pytest.mark.slow
def test_rows_alone_train_and_places_are_those_of_the_new_animal(tmp_path):
    declared = load(TWIN, "")
    run.train(declared, tmp_path / "first", dataset=dataset_for(TWIN, declared), **QUIET)
    asked = fine_tuned(tmp_path / "first")
    run.train(asked, tmp_path / "second", **QUIET)
    first, second = leaves_of(tmp_path / "first"), leaves_of(tmp_path / "second")
    for name in (name for name in first if name.startswith(("params/", "buffers/"))):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name in ("tables/feature", "tables/place_kernel_0", "tables/bias"):
        number = len(first[name])
        np.testing.assert_array_equal(first[name], second[name][:number], err_msg=name)
        assert len(second[name]) == 2 * number and np.ptp(second[name][number:]) > 0
    (animal,) = run_folder.load_data(asked).sessions
    assert animal.session_id == "v1_1"
    np.testing.assert_array_equal(second["tables/position"][6:], model.positions_of(animal))
    assert np.abs(second["tables/feature"][6:] - 1 / 4).min() > 0  # all of them trained

    with pytest.raises(InputError, match="rows of new sessions start as in pretraining; take --config=configs/fine"):
        run.train(fine_tuned(tmp_path / "first", "finetune.new_rows=pca"), tmp_path / "third", **QUIET)


def test_a_session_without_places_is_told_what_to_do():
    animal = run_folder.load_data(load(TWIN, "")).sessions[0].with_fields(unit_metadata={})
    with pytest.raises(InputError, match="lacks x_um and y_um of its units; give them, or set model.places=unit"):
        model.positions_of(animal)
