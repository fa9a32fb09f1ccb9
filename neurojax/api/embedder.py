"""`Embedder`: a pretrained model as a transformer of scikit-learn, spike counts in, states of bins
out.

The estimator of this module subclasses what scikit-learn defines, so that is imported at the top;
the package loads the module when `neurojax.Embedder` is first asked for.
"""

from typing import Any

import numpy as np

from neurojax.api.pretrained import Pretrained, load
from neurojax.data.session import TRAIN, Session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError, require, whole_number

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise InputError(
        "Embedder needs scikit-learn 1.6 or newer; pip install 'neurojax[probes]'"
    ) from None


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Fits rows for a recording's units to a pretrained model; transforms counts to the model's
    states.

    Rows of X are successive bins of the model's width, columns are units. A trial is read as a
    whole: the state of a bin depends on the other bins of its trial, before and after it.

    Args:
        model: path of a run or of an export, id of the hub, or what `neurojax.load` gives.
        steps: training steps of the new rows.
        strategy: see `Pretrained.adapt`; "stitcher_only" leaves the shared part of the model as it
            is.
        trial_bins: length of the trials that X is cut into where `trials` is not given; default:
            what the model was trained on.
        round_counts: round X to whole counts; by default other numbers are refused, since they are
            no spike counts.
        seed: of batches and masks.

    Attributes:
        model_: the adapted `Pretrained`.
        n_features_in_: units.
    """

    def __init__(
        self,
        model: Any = None,
        steps: int = 200,
        strategy: str = "stitcher_only",
        trial_bins: int | None = None,
        round_counts: bool = False,
        seed: int = 0,
    ):
        self.model = model
        self.steps = steps
        self.strategy = strategy
        self.trial_bins = trial_bins
        self.round_counts = round_counts
        self.seed = seed

    def fit(self, X, y=None, trials=None) -> "Embedder":
        """Adapts the model to the recording.

        Args:
            X: whole numbers [bins, units], at least two of both.
            y: not used.
            trials: [bins], a label for each bin, the same within a trial; a trial's bins lie
                together.

        Raises:
            InputError: no model, counts that are none, or a recording that the model cannot take.
        """
        X = validate_data(
            self, X, ensure_min_samples=2, ensure_min_features=2, ensure_non_negative=True
        )
        require(
            self.model is not None,
            "Embedder(model=None); give a path, an id of the hub or what neurojax.load gives",
        )
        model = self.model if isinstance(self.model, Pretrained) else load(self.model)
        self._session_id = f"embedder-{len(model.session_ids)}"  # such a name is taken once
        self._trial_bins = model.weights.num_bins if self.trial_bins is None else self.trial_bins
        session = self._session(X, trials, model.bin_size_s)
        self.model_ = model.adapt(session, steps=self.steps, strategy=self.strategy, seed=self.seed)
        self._n_features_out = model.num_dims
        return self

    def transform(self, X, trials=None) -> np.ndarray:
        """States float32 [bins, D] of counts [bins, units] of the same units; `trials` as in
        `fit`."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_non_negative=True)
        return self.model_.embed(self._session(X, trials, self.model_.bin_size_s))

    def _session(self, X: np.ndarray, trials: Any, bin_size_s: float) -> Session:
        counts = np.rint(X) if self.round_counts else X
        if trials is None:
            length = whole_number(self._trial_bins, "trial_bins", 1, "a whole number of bins")
            starts = np.arange(0, len(counts), length)
        else:
            starts = trial_starts(trials, len(counts))
        return from_counts(
            counts,
            bin_size_s=bin_size_s,
            session_id=self._session_id,
            trial_offsets=np.append(starts, len(counts)),
            split=np.full(len(starts), TRAIN),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []  # states are float32 whatever the counts are
        return tags


def trial_starts(trials: Any, num_rows: int) -> np.ndarray:
    """First row of every trial, from one label a row.

    Raises:
        InputError: another number of labels, or a label that comes back after another.
    """
    labels = np.asarray(trials)
    require(
        labels.shape == (num_rows,),
        f"trials has shape {labels.shape}; expected one label for each of {num_rows} rows",
    )
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    require(
        len(np.unique(labels[starts])) >= len(starts),
        "trials: a label comes back after another; the bins of a trial must lie together",
    )
    return starts
