"""A trained model in Python: `nj.load(PATH)`, then embed, rates and adapt. NumPy out."""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from neurojax.api import adaptation
from neurojax.data import batching, belongs
from neurojax.data.observed import entries_of
from neurojax.data.session import TEST, Session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError, require, whole_number
from neurojax.evals import passes
from neurojax.files import as_path
from neurojax.finetune import release, weights
from neurojax.insilico import encoder as encoders
from neurojax.runs import state_io
from neurojax.schemes import NEURON
from neurojax.train import settings
from neurojax.train.predictor import Predictor

TRIALS_PER_PASS = 64
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def load(path: str | Path, *, revision: str | None = None) -> "Pretrained":
    """Loads a model: the workdir of a `neurojax train`, a folder of `neurojax export`, or one
    shared on the hub.

    Args:
        path: a folder, or "owner/name" of the Hugging Face hub where no such folder exists; of the
            hub only the files of an export are taken.
        revision: branch, tag or commit on the hub.

    Raises:
        InputError: nothing there, or nothing that can be used; a hub id without the extra `hub`.
    """
    require(
        isinstance(path, str | os.PathLike),
        f"path is of type {type(path).__name__}; expected the path of a folder, or owner/name of "
        "the hub",
    )
    folder = as_path(path, "path")
    if not folder.is_dir():
        require(
            isinstance(path, str) and _is_hub_id(path),
            f"{folder} is no folder; expected the workdir of a run, a folder of `neurojax "
            "export`, or owner/name of the hub",
        )
        return Pretrained(release.read(_from_hub(path, revision)))
    require(
        revision is None,
        f"revision={revision!r} is of the hub, but {folder} is a folder; leave it out",
    )
    return Pretrained(release.read_any(folder))


class Pretrained:
    """A trained model with rows for the sessions it knows.

    Attributes:
        weights: arrays, config and provenance.
        session_ids: names of the sessions it has rows for.
        bin_size_s: seconds; sessions must have bins of this width.
        num_dims: width D of an embedding, that of the model's states; 0 of a model that reads no
            spikes.
    """

    def __init__(self, found: weights.Weights):
        self.weights = found
        self.session_ids = tuple(entry["session_id"] for entry in found.table)
        self.bin_size_s = found.bin_size_s
        self._encoders: dict[str | None, encoders.Encoder] = {}
        self._bucket_units = getattr(settings.source_settings(found.config)[1], "bucket_units", 1)

    @functools.cached_property
    def num_dims(self) -> int:
        if not self.weights.of_spikes():
            return 0
        # Nothing is computed: the shape of the states of one bin of one unit, in any row.
        counts = np.zeros((1, 1, 1), int)
        session = from_counts(counts, bin_size_s=self.bin_size_s, session_id="any", split=[TEST])
        model = self._laid_out(batching.Layout.of([session]))
        ((_, batch, query),) = _passes(model, session, np.zeros(1, bool))
        return jax.eval_shape(model.latents, batch, query).shape[-1]

    def __repr__(self) -> str:
        names = ", ".join(self.session_ids[:3]) + (", ..." if len(self.session_ids) > 3 else "")
        size = f"{self.num_dims} dims; step {self.weights.step}"
        return f"Pretrained({len(self.session_ids)} sessions: {names}; {size})"

    def embed(self, session: Session) -> np.ndarray:
        """States of all bins with every unit visible.

        Args:
            session: one the model knows by name and units.

        Returns:
            float32 [total_bins, D], row k belongs to row k of `session.counts`; NaN for bins
            outside all trials. Units that were not observed in a bin are hidden there, and what
            the others and other bins of the trial say of it remains.

        Raises:
            InputError: an unknown session, other units, other bins, or longer trials than the model
                can place.
        """
        model = self.predictor(session)
        states = np.full((len(session.counts), self.num_dims), np.nan, np.float32)
        for trials, batch, query in _passes(model, session, np.zeros(session.num_units, bool)):
            _scatter(states, np.asarray(model.latents(batch, query))[0], session, trials)
        return states

    def rates(self, session: Session, *, num_groups: int = 8) -> np.ndarray:
        """Expected rates of all units in Hz, each unit inferred from others, never from its own
        spikes.

        Units are hidden in `num_groups` groups drawn once, one pass a group, and read where they
        are hidden: what the model was trained to do.

        Args:
            session: as in `embed`.
            num_groups: 2 or more; more groups leave more units visible to each and take as many
                more passes.

        Returns:
            float32 [total_bins, N], spikes per second; NaN for bins outside all trials, and where a
            unit was not observed.

        Raises:
            InputError: as in `embed`; fewer than two units or groups.
        """
        _require_two(session, num_groups)
        return _rates_hz(self.predictor(session), session, num_groups)

    def spread(self, session: Session, *, num_groups: int = 8) -> np.ndarray:
        """How far the members of an ensemble are apart: standard deviation over them of `rates`.

        Args:
            session, num_groups: as in `rates`.

        Returns:
            float32 [total_bins, N], in Hz; NaN where `rates` are.

        Raises:
            InputError: as in `rates`; one model, which has no members.
        """
        members = settings.members_of(self.weights.config)
        require(
            members > 1, "one model has no spread; train several with neurojax train --ensemble=K"
        )
        _require_two(session, num_groups)
        each = self.predictor(session).each_member
        return np.std([_rates_hz(one, session, num_groups) for one in each], axis=0, ddof=1)

    def adapt(
        self,
        session: Session,
        *,
        steps: int = 200,
        strategy: str = "stitcher_only",
        new_rows: str | None = None,
        learning_rate: float | None = None,
        most_passes: float = 100.0,
        known_sessions: Sequence[Session] = (),
        seed: int = 0,
    ) -> "Pretrained":
        """A model that also knows `session`, fine-tuned on its train split, or with `steps=0` given
        rows for it without training; this one stays as it is.

        Args:
            session: one the model does not know, or, with `strategy="full"`, any.
            steps: training steps at most; 0 takes none, and `strategy` says nothing.
            strategy: "stitcher_only" trains the rows of the new session alone; "gradual_unfreeze"
                trains everything after a quarter of the steps; "full" everything from the start.
            new_rows: where its rows start: "pca", "closed_form", "region_mean" or "random", see
                `finetune.new_rows`; default: "pca", with `steps=0` "closed_form".
            learning_rate: peak; default: that of the run.
            most_passes: over the training trials, after which it ends sooner; 0 for all steps. Few
                trials are learned by heart.
            known_sessions: recordings the model was trained on, where at hand: "pca" and
                "closed_form" align the new rows to them.
            seed: of batches, masks and dropout.

        Raises:
            InputError: a session the model cannot take (other bins, longer trials, the spikes or
                trained trials of a known session), a known one under "stitcher_only", test trials
                that were trained on, no train split, or an option that is none.
        """
        require(
            np.iterable(known_sessions),
            f"known_sessions is of type {type(known_sessions).__name__}; expected a list of "
            "Sessions",
        )
        for one in (session, *known_sessions):
            _require_session(one)
        self._require_spikes()
        options = adaptation.Options(steps, strategy, new_rows, learning_rate, most_passes, seed)
        return Pretrained(adaptation.adapted(self.weights, session, options, known_sessions))

    def responses(
        self,
        images: np.ndarray,
        behaviour: np.ndarray | None = None,
        pupil_center: np.ndarray | None = None,
        *,
        session_id: str | None = None,
    ) -> np.ndarray:
        """What the neurons of a digital twin are expected to answer to images, float32 [n, N];
        arguments and errors as of `insilico.encoder.Encoder.responses` and `encoder`."""
        return self.encoder(session_id).responses(images, behaviour, pupil_center)

    def encoder(self, session_id: str | None = None) -> encoders.Encoder:
        """The twin of one session, for `neurojax.insilico` and for decoding by Bayes' rule; raises
        InputError as `responses`."""
        if session_id not in self._encoders:
            name = self.weights.config["model"]["name"]
            require(
                name == "twin",
                f"the model is of model.name={name}, which answers to no image; load a digital "
                "twin, see docs/twins.md",
            )
            model = settings.model_of(self.weights.config)
            facts, entries = self.weights.facts or {}, self.weights.entries
            given = (self._trees(), model.config, entries, facts)
            self._encoders[session_id] = encoders.encoder_of(*given, session_id)
        return self._encoders[session_id]

    def _require_spikes(self) -> None:
        require(
            self.weights.of_spikes(),
            f"the model reads {self.weights.config['data'].get('source')}, not spike counts; score "
            "it with `neurojax evaluate`",
        )

    def predictor(self, session: Session) -> Predictor:
        """The weights laid out for one session, as the functions of `evals` take them; raises
        InputError as `embed`."""
        _require_session(session)
        self._require_spikes()
        config = self.weights.config
        longest = belongs.longest_trial(config["model"], self.weights.num_bins)
        layout = belongs.layout([session], self.weights.table, self.bin_size_s, longest)
        belongs.require_units_of_run(session, self.weights.entries, self.weights.trained)
        return self._laid_out(layout)

    def _laid_out(self, layout: batching.Layout) -> Predictor:
        tree, config = self._trees(), self.weights.config
        parts = (
            tree["params"],
            tree["tables"],
            settings.predicting(config),
            layout,
            self._bucket_units,
        )
        return Predictor(*parts, buffers=tree.get("buffers"))

    def _trees(self) -> dict:
        """params, tables and buffers, nested."""
        kept, arrays = ("params/", "tables/", "buffers/"), self.weights.arrays
        return state_io.nested({n: array for n, array in arrays.items() if n.startswith(kept)})


def _passes(model: Predictor, session: Session, hidden_units: np.ndarray) -> Iterator[tuple]:
    """Every trial of a session, see `passes.over`."""
    trials = np.arange(session.num_trials, dtype=np.int32)
    at_most = min(TRIALS_PER_PASS, len(trials))
    size = passes.size_within_memory(model, session, at_most)
    return passes.over(model, session, trials, hidden_units, NEURON, size)


def _rates_hz(model: Predictor, session: Session, num_groups: int) -> np.ndarray:
    """See `Pretrained.rates`."""
    rates_hz = np.full(session.counts.shape, np.nan, np.float32)
    group = np.random.default_rng(0).permutation(session.num_units) % num_groups
    for number in np.unique(group):
        hidden = group == number
        log_counts = np.full(session.counts.shape, np.nan, np.float32)
        for trials, batch, query in _passes(model, session, hidden):
            predicted = np.asarray(model.log_rates(batch, query))[0]
            _scatter(log_counts, predicted[..., : session.num_units], session, trials)
        rates_hz[:, hidden] = np.exp(log_counts[:, hidden]) / np.float32(session.bin_size_s)
    seen = entries_of(session.validity, *session.counts.shape)
    if seen is not None:
        rates_hz[~seen] = np.nan
    return rates_hz


def _require_two(session: Session, num_groups: int) -> None:
    """Raises InputError for fewer than two groups or units: one is inferred from others."""
    whole_number(num_groups, "num_groups", 2)
    _require_session(session)
    require(
        session.num_units >= 2,
        f"session {session.session_id} has 1 unit; one is inferred from others, so two are needed",
    )


def _require_session(given: object) -> None:
    named = isinstance(given, str | os.PathLike)
    told = repr(given) if named else f"an object of type {type(given).__name__}"
    require(
        isinstance(given, Session),
        f"{told} is no Session; expected one recording, such as neurojax.open_session gives of a "
        "folder",
    )


def _scatter(target: np.ndarray, values: np.ndarray, session: Session, trials: np.ndarray) -> None:
    """Values [>= trials, T, ...] into the rows of `target` that the trials own."""
    for place, trial in enumerate(trials):
        start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
        target[start : start + length] = values[place, :length]


def _is_hub_id(text: str) -> bool:
    """Whether a text has the form owner/name."""
    return _HUB_ID.fullmatch(text) is not None and ".." not in text and "--" not in text


def _from_hub(name: str, revision: str | None) -> Path:
    """The folder that holds a model of the Hugging Face hub, from its cache where it was fetched
    before: the files of an export and no others, to be read with distrust.

    Raises InputError when the extra is missing, or the hub gives no such model.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            f"{name} is no folder here; a model of the hub needs huggingface_hub: pip install "
            '"neurojax[hub]"'
        ) from None
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(release.FILES)
        )
    except Exception as error:  # no such model, no permission, no network: the library says which
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{name} is no folder here, and the hub did not give it ({said}); check the name"
        ) from None
    return Path(found)
