"""The test items of a digital twin, for its audit: images whose pixels are replaced, and the
responses of a recording's neurons to them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import stimuli as sources
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store import stimuli as store
from neurojax.data.store.stimuli import StimulusDataset
from neurojax.evals.audits.of_units import groups_of, person_of
from neurojax.evals.audits.parts import Part

MAX_SESSIONS, MAX_ITEMS, MAX_TRAIN, BLOCKS = 12, 48, 160, 3
BOUNDS = (
    f"at most {MAX_SESSIONS} recordings, {MAX_ITEMS} test images of each drawn with the seed, one "
    "trial an image, of kinds that were trained on; running, pupil and place in time stay those of "
    f"the trial; training images: {MAX_TRAIN} drawn trials; groups of channels: {BLOCKS} by "
    f"{BLOCKS} blocks of the image"
)


def parts_of(
    model, dataset: StimulusDataset, settings: Mapping[str, Any], seed: int, split: int = TEST
) -> list[Part]:
    """A part of each recording (of up to MAX_SESSIONS, drawn with the seed)."""
    del settings
    number = len(dataset.sessions)
    chosen = np.sort(np.random.default_rng([seed, 11]).permutation(number)[:MAX_SESSIONS])
    found = [_part(model, dataset, int(one), [seed, 12, int(one)], split) for one in chosen]
    return [part for part in found if len(part.targets) > 1]


def headline(record: Mapping[str, Any]) -> float | None:
    """The score of a run that is compared over seeds."""
    return (record.get("responses") or {}).get("correlation")


def _part(model, dataset: StimulusDataset, number: int, seed: list[int], split: int) -> Part:
    session, rng = dataset.sessions[number], np.random.default_rng(seed)
    image, stimuli = store.shown(session), dataset.stimuli
    trained = session.trials_of(TRAIN)
    known = np.isin(stimuli.kind[image], np.unique(stimuli.kind[image[trained]]))
    tested = rng.permutation([trial for trial in session.trials_of(split) if known[trial]])
    tested = tested.astype(np.int64)
    _, first = np.unique(image[tested], return_index=True)
    tested = np.sort(rng.permutation(tested[first])[:MAX_ITEMS])
    trained = np.sort(rng.permutation(trained)[:MAX_TRAIN])
    size = stimuli.images.shape[1:]  # channels, height, width

    def pixels(trials: np.ndarray) -> np.ndarray:
        flat, where = np.unique(image[trials], return_inverse=True)
        return stimuli.images[flat].astype(np.float32)[where].reshape(len(trials), 1, -1)

    def responses(trials: np.ndarray) -> np.ndarray:
        return np.asarray(session.counts)[session.trial_start_bin[trials]].astype(np.float64)

    def predict(inputs: np.ndarray) -> np.ndarray:
        given = (dataset, number, model.layout, tested, model.bucket_units, len(tested))
        images = np.asarray(inputs, np.float32).reshape(1, len(tested), *size)
        batch = sources.session_batch(*given).with_trials(images=images)
        return np.asarray(model.mean(batch, ()), np.float64)[0, :, 0, : session.num_units]

    rows, columns = (np.arange(pixels) * BLOCKS // pixels for pixels in size[1:])
    block = np.array([[f"block {row},{column}" for column in columns] for row in rows])
    count = len(tested)
    return Part(
        name=session.session_id,
        kind="counts",
        inputs=pixels(tested),
        input_bins=np.ones(count, np.int64),
        targets=responses(tested),
        mask=session.entry_valid(tested)[:, 0],
        predict=predict,
        null=mean_counts(session).astype(np.float64),
        train_inputs=pixels(trained),
        train_targets=responses(trained),
        start_s=np.asarray(session.trial_start_s[tested], np.float64),
        channel_group=np.broadcast_to(block, size).ravel(),
        region=np.full(block.size * size[0], ""),
        groups={name: np.full(count, text) for name, text in groups_of(session).items()},
        unit=np.full(count, session.session_id),
        person=np.full(count, person_of(session)),
    )
