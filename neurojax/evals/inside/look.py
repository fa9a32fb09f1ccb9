"""A whole look inside a model: features of its states, what they drive, maps, unit embeddings."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from neurojax.analysis import sae
from neurojax.evals.inside import effects, splice, unit_rows
from neurojax.evals.inside.cards import Gathered, describe, stitching
from neurojax.evals.inside.views import Model, View, states_to_learn

MAX_STATES = 120_000  # that the autoencoder is trained on
NUM_CARDS = 48
STEPS = ("states", "features", "splice-in", "recordings", "cards", "maps")  # that progress counts
NO_READ_OUT = (
    "predictions of this model do not follow from its states alone (of ndt2 a unit reads the state "
    "of its patch, of an ensemble members have states of their own), so nothing can be spliced in"
)


def look(
    model: Model,
    views: Sequence[View],
    settings: sae.Settings,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """The content of inspect.json, without what is told of the run.

    Args:
        model: with rows for the recordings, and states.
        views: recordings, see `views.views_of`.
        settings: of the autoencoder.
        seed: of all draws.
        progress: called with the number of steps done, of STEPS.
    """
    states = states_to_learn(model, views, MAX_STATES, seed)
    progress(1)
    fitted = sae.fit(states, settings, jax.random.key(seed))
    autoencoder, use = fitted.autoencoder, sae.use(fitted.autoencoder, states, settings)
    progress(2)
    kept = None
    if model.answers_states:
        kept = splice.splice_in(model, views, autoencoder, settings, states.mean(0))
    progress(3)
    found = Gathered(settings)
    for view in views:
        found.add(model, view, autoencoder)
    progress(4)
    cards = [found.card(feature) for feature in found.most_used(NUM_CARDS)]
    if model.answers_states:
        trials = [effects.Asked(model, view, autoencoder, settings) for view in views]
        for card in cards:
            card["drives"] = effects.drives(trials, card["feature"])
    for card, words in zip(cards, describe(cards), strict=True):
        card["words"] = words
    progress(5)
    record = {
        "autoencoder": {
            **settings._asdict(),
            "num_dims": int(states.shape[1]),
            "num_states": len(states),
            "num_active_found": use.num_active,
            "unexplained": use.unexplained,
            "dead_share": float(np.mean(use.share == 0)),
            "share_of_bins": np.round(use.share, 6).tolist(),
        },
        "splice_in": kept,
        "splice_in_reason": "" if kept else NO_READ_OUT,
        "stitching": stitching(found.share),
        "columns": found.columns(),
        "cards": cards,
        "gradients": effects.gradient_map(model, views, seed),
        "embeddings": unit_rows.embeddings(model, views, seed),
        "recordings": [view.session.session_id for view in views],
        "kind": views[0].kind,
    }
    progress(6)
    return record
