import jax
import numpy as np

from neurojax.data.buffers import Buffers


def test_memory_is_used_again_only_when_nobody_holds_it():
    memory = Buffers()
    first = memory.empty((4, 100), np.uint16)
    address = first.ctypes.data
    assert first.shape == (4, 100) and first.dtype == np.uint16
    assert memory.empty((4, 100), np.uint16).ctypes.data != address  # `first` is held
    part = first[2:3, :5]
    del first
    assert memory.empty((4, 100), np.uint16).ctypes.data != address  # a part of it is
    del part
    assert address in {array.ctypes.data for array in [memory.empty((4, 50), np.uint8) for _ in range(1)]}


def test_a_device_that_aliases_the_memory_holds_it():
    memory, kept, expected = Buffers(), [], []
    for number in range(20):
        array = memory.empty((64, 1024), np.uint8)
        array[:] = number
        kept.append(jax.device_put(array))
        expected.append(number)
        del array
    for value, number in zip(kept, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(value), np.full((64, 1024), number, np.uint8))


def test_buffers_are_few_and_grow():
    memory = Buffers(limit=2)
    held = [memory.empty((10,), np.uint8) for _ in range(5)]
    assert len({array.ctypes.data for array in held}) == 5
    del held
    large = memory.empty((1000,), np.uint8)
    large[:] = 7
    assert len(memory._buffers) == 2 and sorted(buffer.nbytes for buffer in memory._buffers) == [10, 1000]
