"""Memory of batches that nobody holds any more, handed out again.

Fresh pages have to be cleared by the system, which costs more than the copy of the trials into
them.
"""

import math
import sys
import threading

import numpy as np

# references to a buffer in `Buffers.empty`: the list's, the variable's, getrefcount's argument
_UNHELD = 3


class Buffers:
    """Arrays whose memory is used again once nothing on host or device refers to it."""

    def __init__(self, limit: int = 12):
        """`limit`: buffers kept for reuse; any beyond are left to the garbage collector."""
        self._limit = limit
        self._buffers: list[np.ndarray] = []
        self._lock = threading.Lock()
        self._counts_references = getattr(sys, "_is_gil_enabled", lambda: True)()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """As `numpy.empty`: an array of this shape with anything in it, and nobody else's."""
        num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        # Without the GIL a reference count is spread over threads and proves nothing.
        if not self._counts_references:
            return np.empty(shape, dtype)
        with self._lock:
            for place in range(len(self._buffers)):  # enumerate would hold each buffer once more
                buffer = self._buffers[place]
                # In use: by a batch, or by a jax array that shares its memory on a CPU.
                if sys.getrefcount(buffer) > _UNHELD:
                    continue
                if buffer.nbytes >= num_bytes:
                    # The view refers to the buffer, which so counts as held while it lives.
                    return buffer[:num_bytes].view(dtype).reshape(shape)
                del self._buffers[place]  # too small: a larger one takes its place
                break
            buffer = np.empty(num_bytes, np.uint8)
            if len(self._buffers) < self._limit:
                self._buffers.append(buffer)
            return buffer.view(dtype).reshape(shape)
