"""neurojax: masked models of neural population spiking activity across animals, in JAX.

Names below are imported on first use (PEP 562), so `import neurojax` costs nothing and loads
neither jax nor numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurojax.data.conversion import convert_session
    from neurojax.data.sessions import Dataset, open_dataset, open_session, write_dataset_index, write_session
    from neurojax.errors import InputError
    from neurojax.transfer.behavior_decoder import BehaviorDecoder
    from neurojax.transfer.embedder import Embedder
    from neurojax.transfer.pretrained import load
    from neurojax.batch import Batch
    from neurojax.types import Session

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "BehaviorDecoder",
    "Dataset",
    "Embedder",
    "InputError",
    "Session",
    "__version__",
    "convert_session",
    "load",
    "open_dataset",
    "open_session",
    "write_dataset_index",
    "write_session",
]

_HOME = {
    "Batch": "neurojax.batch",
    "BehaviorDecoder": "neurojax.transfer.behavior_decoder",
    "Dataset": "neurojax.data.sessions",
    "Embedder": "neurojax.transfer.embedder",
    "InputError": "neurojax.errors",
    "Session": "neurojax.types",
    "convert_session": "neurojax.data.conversion",
    "load": "neurojax.transfer.pretrained",
    "open_dataset": "neurojax.data.sessions",
    "open_session": "neurojax.data.sessions",
    "write_dataset_index": "neurojax.data.sessions",
    "write_session": "neurojax.data.sessions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurojax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
