"""Blanks around a region's label change neither the line of a conversion nor the report of a check."""

import numpy as np

from neurojax.commands.conversion import describe
from neurojax.data.checks.check import check_dataset
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts


def test_a_label_of_blanks_around_nothing_known_names_no_region():
    counts = np.random.default_rng(0).poisson(0.4, (20, 10, 5))
    session = from_counts(counts, bin_size_s=0.02, session_id="a", region=["CA1", "DG", " root ", " ", "Unknown "])
    assert describe(session).endswith(", 2 regions")
    facts = check_dataset(dataset_of([session]))["sessions"]["a"]
    assert facts["regions"] == {"CA1": 1, "DG": 1} and facts["units_without_region"] == 3
