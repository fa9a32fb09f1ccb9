"""Batches of responses to images: sessions side by side as those of spikes, each trial with the
image that was shown and what the animal did."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching, splits
from neurojax.data.batching import BatchingConfig as Config
from neurojax.data.session import VALIDATION, Session
from neurojax.data.sources import made_up
from neurojax.data.sources.spikes import SpikeSource, rows_of
from neurojax.data.store import stimuli as store
from neurojax.data.store.stimuli import StimulusDataset
from neurojax.data.synthetic import v1
from neurojax.errors import InputError, require

__all__ = ["Config", "StimulusSource", "open_data", "open_other", "open_source", "rows_of"]


class StimulusSource(SpikeSource):
    """Batches of the train split.

    Beside what batches of spikes hold (trials of one bin), `Batch.trials` has
        images float32 [G, b, C, H, W],
        behaviour float32 [G, b, F], of `state`, 0 where it is not known,
        pupil_center float32 [G, b, 2], NaN where it is not known.

    Attributes: as of `spikes.SpikeSource`; `dataset` with the stimuli.
    """

    def __init__(self, dataset: StimulusDataset, config: Config, seed: int, table, new_until):
        super().__init__(dataset.sessions, config, seed, table, new_until)
        self.dataset = dataset
        num_behaviours = behaviours_of(dataset.sessions)
        self.facts = dataclasses.replace(
            self.facts,
            num_channels=dataset.stimuli.images.shape[1],
            num_features=num_behaviours,
        )

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all."""
        plan = self.plan(index)
        plan = plan._replace(trial=plan.trial[:, rows(plan.trial.shape[1])])
        batch = batching.gather(self.sessions, self.layout, plan)
        return with_images(batch, self.dataset, plan.session, plan.trial)

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries; its images do not matter."""
        batch = super().largest_batch()
        groups = len(batch.groups["session_row"])
        trial = batch.trials["trial_id"]
        return with_images(batch, self.dataset, np.zeros(groups, np.int32), trial)

    def contents(self) -> str:
        """`100 neurons, 3,480 images of 24 x 24 pixels`."""
        number = sum(session.num_units for session in self.sessions)
        images, _, height, width = self.dataset.stimuli.images.shape
        return f"{number:,} neurons, {images:,} images of {height} x {width} pixels"

    def validation_batches(self) -> list[Batch]:
        """Batches of a session's validation trials, all of them, padded to equal shapes by trials
        with no valid bin."""
        found = []
        for number, session in enumerate(self.sessions):
            trials = session.trials_of(VALIDATION)
            size = max((len(one.trials_of(VALIDATION)) for one in self.sessions), default=0)
            if len(trials):
                found.append(
                    session_batch(
                        self.dataset, number, self.layout, trials, self._config.bucket_units, size
                    )
                )
        return found


def session_batch(
    dataset: StimulusDataset,
    number: int,
    layout: batching.Layout,
    trials: np.ndarray,
    bucket_units: int,
    size: int,
) -> Batch:
    """Trials of one session with their images, see `batching.session_batch`."""
    session = dataset.sessions[number]
    batch = batching.session_batch(session, layout, trials, bucket_units, size)
    trial = batch.trials["trial_id"]
    return with_images(batch, dataset, np.array([number], np.int32), trial)


def with_images(
    batch: Batch, dataset: StimulusDataset, sessions: np.ndarray, trials: np.ndarray
) -> Batch:
    """A batch with what each of its trials shows.

    Args:
        sessions: int [G], place in the dataset.
        trials: int [G, b], place in the session.
    """
    image = np.stack(
        [
            store.shown(dataset.sessions[session])[own]
            for session, own in zip(sessions, trials, strict=True)
        ]
    )
    flat, where = np.unique(image, return_inverse=True)  # in file order: a map is read forwards
    images = dataset.stimuli.images[flat].astype(np.float32)[where.reshape(image.shape)]
    pairs = [(dataset.sessions[s], own) for s, own in zip(sessions, trials, strict=True)]
    behaviour = np.stack([_told(session, own, store.STATE, 0.0) for session, own in pairs])
    pupil = np.stack([_told(session, own, store.PUPIL, np.nan, 2) for session, own in pairs])
    return batch.with_trials(images=images, behaviour=behaviour, pupil_center=pupil)


def _told(
    session: Session, trials: np.ndarray, name: str, missing: float, width: int = 0
) -> np.ndarray:
    """A behaviour in the bin of each trial, float32 [b, width]; `missing` where it is unknown."""
    values = session.behaviour.get(name)
    if values is None:
        return np.full((len(trials), width), missing, np.float32)
    rows = session.trial_start_bin[trials]
    known = session.behaviour_known(name)[rows]
    return np.where(known, np.asarray(values)[rows], missing).astype(np.float32)


def behaviours_of(sessions) -> int:
    """F, numbers of `state`; raises InputError where sessions differ, or a pupil has not two."""
    widths = {}
    for session in sessions:
        values = session.behaviour.get(store.STATE)
        widths[session.session_id] = 0 if values is None else values.shape[1]
        pupil = session.behaviour.get(store.PUPIL)
        require(
            pupil is None or pupil.shape[1] == 2,
            f"session {session.session_id}: {store.PUPIL} has another number of columns than 2; "
            "expected x and y",
        )
    if len(set(widths.values())) > 1:
        odd = list(widths.items())[-1]
        raise InputError(
            f"session {odd[0]} has {odd[1]} columns of {store.STATE}, others have "
            f"{sorted(set(widths.values()))}; give all the same"
        )
    return next(iter(widths.values()))


def open_source(
    sessions: StimulusDataset,
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> StimulusSource:
    """The source of a run; arguments as of `sources.spikes.open_source`, over what `open_data`
    gives; raises InputError for sessions without images."""
    require(
        isinstance(sessions, StimulusDataset),
        "data.source=stimuli reads responses with the images they answer, not recordings alone; "
        "name a folder of them with data.root",
    )
    return StimulusSource(sessions, config, seed, table, new_until)


def open_data(data: Mapping[str, Any], seed: int) -> StimulusDataset:
    """The responses and stimuli that a config names: a folder under data.root, or synthetic V1.

    Args:
        data: the `data` block.
        seed: of synthetic animals and of `train_fraction`.

    Raises:
        InputError: no such folder, a damaged one, or an unknown entry of data.synthetic.
    """
    if data["root"]:
        dataset = store.open_stimuli(data["root"])
    else:
        dataset = synthetic_v1(made_up.spec_of(v1.V1Spec, data), seed)
    fraction = data["train_fraction"]
    if fraction == 1:
        return dataset
    kept = [splits.with_train_fraction(one, fraction, seed) for one in dataset.sessions]
    return store.with_stimuli(kept, dataset.stimuli)


def synthetic_v1(spec: v1.V1Spec, seed: int) -> StimulusDataset:
    """Made-up animals, see `data.synthetic.v1`."""
    images, kind = v1.stimuli(spec, seed)
    animals = range(spec.first_animal, spec.first_animal + spec.num_animals)
    sessions = [v1.make_session(spec, animal, seed, images) for animal in animals]
    return store.with_stimuli(sessions, store.of_images(images, kind, v1.KINDS))


def open_other(root: Path) -> StimulusDataset:
    """Other responses, in the split of their folder."""
    return store.open_stimuli(root)
