"""How long a run of few trials is: no more than train.most_passes times over them."""

import pytest

from neurojax.errors import InputError
from neurojax.train import settings

SMALL = {"num_steps": 3000, "most_passes": 100.0}


@pytest.mark.parametrize(
    ("trials", "of_batch", "train", "steps"),
    [
        (80, 32, SMALL, 250),  # one short recording
        (81, 32, SMALL, 254),  # the last pass is finished
        (1798, 32, SMALL, 3000),  # nine: fewer passes than that anyway
        (80, 32, SMALL | {"most_passes": 0.0}, 3000),
        (80, 32, {"num_steps": 3000}, 3000),  # a config of before
        (0, 32, SMALL, 3000),  # texts are no trials
        (1, 10**6, SMALL, 1),
    ],
)
def test_few_trials_are_gone_over_so_often_and_no_more(trials, of_batch, train, steps):
    assert settings.steps_within_passes({"train": train}, trials, of_batch) == steps


@pytest.mark.parametrize("passes", [-1.0, float("nan"), float("inf"), "many", True])
def test_a_number_of_passes_that_is_none_is_refused(passes):
    with pytest.raises(InputError, match=r"train\.most_passes"):
        settings.steps_within_passes({"train": SMALL | {"most_passes": passes}}, 80, 32)
