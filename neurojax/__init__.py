"""neurojax: masked models of neural population spiking activity across animals, in JAX.

Names below are imported on first use (PEP 562), so `import neurojax` costs nothing and loads
neither jax nor numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurojax.api.behavior_decoder import BehaviorDecoder
    from neurojax.api.embedder import Embedder
    from neurojax.api.examples import reaching_example
    from neurojax.api.pretrained import load
    from neurojax.batch import Batch
    from neurojax.data.conversion import convert_session
    from neurojax.data.session import Session
    from neurojax.data.store.dataset import Dataset, open_dataset, write_dataset_index
    from neurojax.data.store.session_format import open_session, write_session
    from neurojax.errors import InputError

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
    "reaching_example",
    "write_dataset_index",
    "write_session",
]

_HOME = {
    "Batch": "neurojax.batch",
    "BehaviorDecoder": "neurojax.api.behavior_decoder",
    "Dataset": "neurojax.data.store.dataset",
    "Embedder": "neurojax.api.embedder",
    "InputError": "neurojax.errors",
    "Session": "neurojax.data.session",
    "convert_session": "neurojax.data.conversion",
    "load": "neurojax.api.pretrained",
    "open_dataset": "neurojax.data.store.dataset",
    "open_session": "neurojax.data.store.session_format",
    "reaching_example": "neurojax.api.examples",
    "write_dataset_index": "neurojax.data.store.dataset",
    "write_session": "neurojax.data.store.session_format",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurojax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
