"""Doors and what they can be given: name -> (make, abilities).

`make(recording, folder, rng)` writes the recording and returns what to run and the names its units will have.
Abilities say which perturbations the door can be given, see `perturbations`.
"""

import importlib.util

from array_doors import arrays_counts, arrays_spikes, mat_v5, mat_v73
from folder_doors import ibl, phy, phy_two_probes, spikeinterface
from hdf5_doors import brainwide, nwb
from python_doors import from_counts, from_pynapple, from_spike_times, pandas_columns

_FILE = "clock spikes regions conditions behaviour trialtimes"
_SETS = {
    "arrays, spikes": (
        arrays_spikes,
        _FILE + " unit trialunit behaviourunit float heard probes declared stated stops ids objects lengths vectors",
    ),
    "arrays, counts": (
        arrays_counts,
        "clock lengths behaviourunit heard probes regions ids objects conditions behaviour counts axes",
    ),
    "mat v5": (mat_v5, _FILE + " unit trialunit behaviourunit lengths float heard declared stated stops"),
    "mat v7.3": (mat_v73, _FILE + " unit trialunit behaviourunit lengths float heard declared stated stops"),
    "nwb": (nwb, _FILE + " unit trialunit behaviourunit lengths float heard probes declared stated stops ids lists"),
    "phy": (phy, "spikes regions conditions behaviour trialtimes trialunit heard stops tables"),
    "phy, two probes": (
        phy_two_probes,
        "spikes regions conditions behaviour trialtimes trialunit heard probes stops",
    ),
    "SpikeInterface": (
        spikeinterface,
        "spikes regions conditions behaviour trialtimes trialunit heard stops ids objects segments",
    ),
    "ibl": (ibl, _FILE + " unit trialunit behaviourunit lengths float heard probes objects optional"),
    "brainwide": (
        brainwide,
        _FILE + " unit trialunit behaviourunit lengths float heard probes declared ids optional",
    ),
    "from_counts": (from_counts, "clock lengths regions ids objects conditions behaviour counts masked axes"),
    "from_spike_times": (
        from_spike_times,
        _FILE + " unit trialunit behaviourunit lengths float heard declared stated stops objects",
    ),
    "pandas": (pandas_columns, "clock spikes regions conditions behaviour trialtimes float heard stops lists"),
    "from_pynapple": (from_pynapple, "clock spikes regions conditions behaviour heard declared objects"),
}


def _in_windows(make):
    """The door without trials."""

    def made(recording, folder, rng):
        recording.how["windows"] = "yes"
        return make(recording, folder, rng)

    return made


_NO_TRIALS = ("trialtimes", "trialunit", "stops", "conditions", "lengths", "lists", "segments", "vectors")
_SETS |= {
    f"{name}, windows": (_in_windows(make), " ".join(a for a in abilities.split() if a not in _NO_TRIALS))
    for name, (make, abilities) in _SETS.items()
    if name in ("arrays, spikes", "mat v5", "nwb", "phy", "SpikeInterface", "ibl", "from_spike_times")
}
DOORS = {name: (make, frozenset(abilities.split())) for name, (make, abilities) in _SETS.items()}
if not importlib.util.find_spec("pynapple"):
    del DOORS["from_pynapple"]
if not importlib.util.find_spec("pandas"):
    del DOORS["pandas"]
