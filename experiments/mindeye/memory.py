"""What eight people of 15,000 voxels and 30,000 trials take: predicted as --dry_run does, and while batches are read.

    python experiments/mindeye/memory.py

The recordings are files with holes, of the size of real ones (float16): what a batch reads is in memory, no more.
"""

import resource
import runpy
import tempfile
from pathlib import Path

import numpy as np

from neurojax.data.session import TRAIN
from neurojax.data.sources import betas
from neurojax.data.synthetic import nsd
from neurojax.files import write_json
from neurojax.models import mindeye
from neurojax.runs.workdir import provenance
from neurojax.train import description, settings

HERE = Path(__file__).parent
PEOPLE, VOXELS, TRIALS, EMBEDDING, GIB = 8, 15_000, 30_000, 512, 2**30
BIG = {"read_in_width": 1024, "width": 1024, "projector_width": 1024}  # the light variant of MindEye2


def hollow(folder: Path, name: str, shape: tuple[int, int], kind: str) -> np.ndarray:
    """An array on disk that holds zeros and takes no room."""
    path = folder / name
    with path.open("wb") as file:
        file.truncate(int(np.prod(shape)) * np.dtype(kind).itemsize)
    return np.memmap(path, kind, "r", shape=shape)


def person(number: int, folder: Path):
    """A session of the size of a real one, from the fields of a small one."""
    small = nsd.make_session(nsd.NsdSpec(num_sessions=1, most_voxels=2, num_validation=1, num_test=2), 0, number)
    told = hollow(folder, f"{number}_embedding", (TRIALS, EMBEDDING), "float32")
    text, region = np.arange(VOXELS).astype(str), np.full(VOXELS, "nsdgeneral")
    return small.with_fields(
        values=hollow(folder, f"{number}_values", (TRIALS, VOXELS), "float16"),
        unit_id=text,
        region=region,
        region_group=region,
        region_source=region,
        trial_start_bin=np.arange(TRIALS),
        trial_num_bins=np.ones(TRIALS, int),
        trial_start_s=4.0 * np.arange(TRIALS),
        split=np.full(TRIALS, TRAIN, np.int8),
        conditions={"picture": np.arange(TRIALS) + TRIALS * number},
        behaviour={"embedding": told},
        behaviour_valid={"embedding": np.ones(TRIALS, bool)},
    )


def main() -> None:
    config = runpy.run_path(str(HERE.parents[1] / "configs" / "mindeye.py"))["get_config"]().to_dict()
    config["model"] |= BIG
    config["data"] |= {"sessions_per_batch": 2, "trials_per_batch": 64, "bucket_units": VOXELS}
    betas.known_pictures = lambda session: np.ones(session.num_trials, bool)  # holes would be no embeddings
    with tempfile.TemporaryDirectory() as folder:
        sessions = [person(number, Path(folder)) for number in range(PEOPLE)]
        source = settings.open_source(config, sessions)
        recipe, loop = settings.recipe(config), settings.loop_config(config)
        size = description.memory(recipe, source, loop)
        told = description.estimated(recipe, source, loop)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        source.batch(0)
        mindeye.fitted_rows(recipe.model.config, sessions[:1], source.facts)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {
        "predicted_gib": size.total() / GIB,
        "state_gib": size.state / GIB,
        "recordings_gib": PEOPLE * TRIALS * (2 * VOXELS + 4 * EMBEDDING) / GIB,
        "before_reading_gib": before / GIB,
        "reading_peak_gib": peak / GIB,
        "told": told.splitlines()[0],
    }
    record = {"command": "python experiments/mindeye/memory.py", **provenance(HERE), "settings": BIG, "found": found}
    write_json(HERE / "memory.json", record)
    print(found)


if __name__ == "__main__":
    main()
