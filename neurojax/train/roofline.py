"""Operations and bytes of a program before it is compiled, and what an accelerator may need.

A roofline (Williams et al. 2009): each operation takes the longer of its arithmetic at the peak of
the datasheet and its traffic at the bandwidth of memory; what an elementwise reader takes up at
once moves nothing. Launching operations, which decides where a model is small, is left out, and
compilers fuse more than is assumed here: a prediction, not a bound.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.extend import core

from neurojax.train.step_memory import inner_programs, is_fused, size_of, uses_of

_INTO_ROWS = frozenset(("scatter", "scatter-add", "scatter_add", "dynamic_update_slice"))
_OF_ROWS = _INTO_ROWS | {"gather", "dynamic_slice"}


class Device(NamedTuple):
    """Of a datasheet, a second.

    Attributes:
        bfloat16: operations of dense products in that type.
        float32: in float32 at the default precision of products (TF32 on the GPU, passes of
            bfloat16 on the TPU).
        elementwise: float32 operations of anything else.
        num_bytes: of the memory.
    """

    bfloat16: float
    float32: float
    elementwise: float
    num_bytes: float


DEVICES = {
    "NVIDIA H200": Device(989e12, 494e12, 67e12, 4.8e12),
    "TPU v5e": Device(197e12, 197e12, 3.1e12, 0.82e12),
}


class Work(NamedTuple):
    """What an operation, or a program, takes.

    Attributes:
        products: operations of matrix products and convolutions, 2 a multiply-add.
        elementwise: of everything else, one an entry of a result.
        moved: bytes read and written.
        seconds: on each of DEVICES.
    """

    products: float = 0.0
    elementwise: float = 0.0
    moved: float = 0.0
    seconds: tuple[float, ...] = (0.0,) * len(DEVICES)

    def plus(self, other: "Work", times: float = 1.0) -> "Work":
        """Both, the other so many times."""
        seconds = tuple(a + times * b for a, b in zip(self.seconds, other.seconds, strict=True))
        return Work(*(a + times * b for a, b in zip(self[:3], other[:3], strict=True)), seconds)


def of_program(program) -> Work:
    """Work of a jaxpr and of those inside it: every step of a scan, one of a loop whose length is
    not known, of a branch the dearest."""
    uses, fused, whole = uses_of(program), set(), Work()
    for step in program.eqns:
        inner = [of_program(one) for one in inner_programs(step.params)]
        if step.primitive.name == "cond":
            whole = whole.plus(max(inner, key=lambda work: work.seconds))
        elif inner and step.primitive.name not in _INTO_ROWS:  # a scatter holds how it adds
            for work in inner:
                whole = whole.plus(work, step.params.get("length", 1))
        else:
            fused |= {result for result in step.outvars if is_fused(step, result, uses)}
            whole = whole.plus(_of_operation(step, fused))
    return whole


def _of_operation(step, fused: set) -> Work:
    read = [one for one in step.invars if isinstance(one, core.Var) and one not in fused]
    if step.primitive.name in _OF_ROWS:  # the rest of the table is not touched
        read = [one for one in read if one is not step.invars[0]]
    written = [one for one in step.outvars if one not in fused]
    made = sum(math.prod(getattr(result.aval, "shape", ())) for result in step.outvars)
    if step.primitive.name in _INTO_ROWS:  # what is given is added where it belongs
        written = read
        made = max((math.prod(one.aval.shape) for one in read), default=0)
    moved = sum(map(size_of, [*read, *written]))
    products = _products(step)
    elementwise = 0.0 if products else float(made)
    half = products and step.outvars[0].aval.dtype == jnp.bfloat16
    seconds = tuple(
        max(
            products / (device.bfloat16 if half else device.float32)
            + elementwise / device.elementwise,
            moved / device.num_bytes,
        )
        for device in DEVICES.values()
    )
    return Work(products, elementwise, float(moved), seconds)


def _products(step) -> float:
    """Operations of a product or a convolution, 0 of anything else."""
    if step.primitive.name == "dot_general":
        (contracted, _), _ = step.params["dimension_numbers"]
        shape = step.invars[0].aval.shape
        inner = math.prod(shape[axis] for axis in contracted)
        return 2.0 * inner * math.prod(step.outvars[0].aval.shape)
    if step.primitive.name == "conv_general_dilated":
        kernel = step.invars[1].aval.shape
        layout = step.params["dimension_numbers"].rhs_spec  # (out, in, *space)
        inner = math.prod(np.delete(kernel, layout[0]))
        return 2.0 * inner * math.prod(step.outvars[0].aval.shape)
    return 0.0


def told(work: Work) -> str:
    """A line of words."""
    operations = work.products + work.elementwise
    times = []
    for (name, device), seconds in zip(DEVICES.items(), work.seconds, strict=True):
        by_bytes = work.moved / device.num_bytes > 0.5 * seconds
        times.append(
            f"{1e3 * seconds:,.3g} ms on one {name} ({'bytes' if by_bytes else 'products'})"
        )
    return (
        f"roofline: a step of {operations / 1e9:,.3g} GFLOP moves {work.moved / 1e9:,.3g} GB, "
        f"{operations / max(work.moved, 1):,.3g} FLOP a byte; predicted {', '.join(times)}"
    )
