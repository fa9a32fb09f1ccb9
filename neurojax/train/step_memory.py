"""Memory of a training step, estimated from its program before anything is compiled.

Every array of the traced step lives from where it is made to where it is last used; the estimate is
the largest sum. A compiler fuses what it can: chains of elementwise operations never reach memory,
so only arrays that something else than the next elementwise operation reads are counted.
tests/train/step_memory_test.py compares with XLA's own figure.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from neurojax.train.step import run_step

PACKING = 1.2  # buffers leave gaps; XLA took 1.1 to 1.5 times the sum over sizes and parts on CPUs
FACTOR = 1.5  # by which the estimate and XLA's own figure may differ, either way

# Each entry of the result needs but that entry of the operands, or no operand at all.
_FUSED = frozenset(
    """abs add and broadcast_in_dim ceil clamp convert_element_type copy cos div eq erf exp exp2
    expm1 floor ge gt integer_pow iota is_finite le log log1p logistic lt max min mul ne neg
    nextafter not or pow random_bits random_unwrap random_wrap rem reshape rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sqrt square squeeze sub tanh
    threefry2x32 transpose xor""".split()
)


class StepMemory(NamedTuple):
    """Bytes on each device.

    Attributes:
        state: parameters, tables and moments, held all the time (the step overwrites them).
        batch: its arrays.
        temporary: activations, gradients and updates that live at once at the worst moment.
    """

    state: int
    batch: int
    temporary: int

    def total(self) -> int:
        return self.state + self.batch + self.temporary


def of_step(recipe, state, batch, parts: int, data_devices: int = 1) -> StepMemory:
    """What one step takes on each device; traces it, computes nothing.

    Args:
        recipe: see `train.step.Recipe`.
        state: from `loop.abstract_state`, with its places on the devices.
        batch: arrays or shapes of the largest batch.
        parts: train.microbatches.
        data_devices: that share the trials of a batch.
    """
    program = traced(recipe, state, batch, parts)
    # What each device has of it: a sharded table counts by its shard.
    held = sum(
        num_bytes(leaf.sharding.shard_shape(leaf.shape), leaf.dtype)
        for leaf in jax.tree.leaves(state)
    )
    whole_batch = sum(num_bytes(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch))
    temporary = int(PACKING * peak_bytes(program))
    # Most temporaries are of trials, which the devices share; weights' gradients are not, and are
    # counted too low on several devices.
    return StepMemory(held, whole_batch // data_devices, temporary // data_devices)


def traced(recipe, state, batch, parts: int):
    """The jaxpr of a step; arguments as of `of_step`."""
    step = functools.partial(run_step, recipe=recipe, parts=parts)
    return jax.make_jaxpr(step)(state, batch).jaxpr


def peak_bytes(program) -> int:
    """Bytes of the arrays a program makes (not its inputs) when most of them live.

    Args:
        program: a jaxpr.
    """
    last_use, uses = {}, uses_of(program)
    for place, step in enumerate(program.eqns):
        for operand in step.invars:
            if isinstance(operand, core.Var):
                last_use[operand] = place
    # What the program returns lives to its end.
    last_use |= {
        result: len(program.eqns) for result in program.outvars if isinstance(result, core.Var)
    }
    ends: dict[int, list] = {}
    living = peak = 0
    for place, step in enumerate(program.eqns):
        # The body of a scan or a jitted function has arrays of its own, on top of those around it.
        inside = max((peak_bytes(inner) for inner in inner_programs(step.params)), default=0)
        made = {
            result: 0 if is_fused(step, result, uses) else size_of(result)
            for result in step.outvars
        }
        peak = max(peak, living + max(inside, sum(made.values())))
        for result, size in made.items():
            # A result that nobody reads is freed as soon as it is made.
            if result in last_use:
                living += size
                ends.setdefault(last_use[result], []).append(size)
        living -= sum(ends.pop(place, ()))
    return max(peak, living)


def uses_of(program) -> dict[Any, list[str]]:
    """Variable of a jaxpr -> names of the operations that read it."""
    uses: dict[Any, list[str]] = {}
    for step in program.eqns:
        for operand in step.invars:
            if isinstance(operand, core.Var):
                uses.setdefault(operand, []).append(step.primitive.name)
    return uses


def is_fused(step, result, uses: dict[Any, list[str]]) -> bool:
    """Whether a result goes straight into the one operation that reads it."""
    readers = uses.get(result, [])
    return (
        step.primitive.name in _FUSED
        and len(readers) == 1
        and (readers[0] in _FUSED or "reduce" in readers[0])
    )


def inner_programs(parameters: dict[str, Any]) -> Iterator[Any]:
    """Programs inside an operation: of a scan, a branch, a jitted function."""
    for value in parameters.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if hasattr(one, "eqns"):
                yield one
            elif hasattr(one, "jaxpr"):
                yield one.jaxpr


def size_of(variable) -> int:
    """Bytes of an array of a program."""
    return num_bytes(
        getattr(variable.aval, "shape", ()), getattr(variable.aval, "dtype", np.float32)
    )


def num_bytes(shape: tuple[int, ...], dtype) -> int:
    # A key of jax.random is two 32-bit words.
    itemsize = 8 if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) else np.dtype(dtype).itemsize
    return int(np.prod(shape, dtype=np.int64)) * itemsize
