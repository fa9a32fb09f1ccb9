"""Forms of a learning curve: each is limit + amplitude x basis(size), the basis with few shapes.

The limit and the amplitude enter linearly, so that a fit only has to search the shapes (one or
two exponents and sizes), on a grid that holds every value they may take: there is no start that
could be a wrong one.

Letters: M points, K shapes, ... leading axes of shapes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import InputError

_BEND = 0.3  # how sharply a broken power law turns, in natural logarithms of the size


class Form(NamedTuple):
    """One form.

    Attributes:
        name: as files and commands spell it.
        words: the formula.
        shapes: names of what enters non-linearly, in order.
        is_size: whether each shape is a size (in units of the axis), or else an exponent.
        has_limit: whether there is a limit beside the amplitude.
        basis: (sizes over the reference [M], shapes [..., K]) -> [..., M].
        source: where it is from.
    """

    name: str
    words: str
    shapes: tuple[str, ...]
    is_size: tuple[bool, ...]
    has_limit: bool
    basis: Callable[[np.ndarray, np.ndarray], np.ndarray]
    source: str

    @property
    def num_parameters(self) -> int:
        return len(self.shapes) + 1 + self.has_limit


def _power(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    return sizes ** -shapes[..., :1]


def _logarithm(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.log(sizes), (*shapes.shape[:-1], len(sizes)))


def _exponential(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    return np.exp(-sizes / shapes[..., :1])


def _shoulder(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    return (1 + sizes / shapes[..., 1:2]) ** -shapes[..., :1]


def _broken(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    first, second, turn = shapes[..., 0:1], shapes[..., 1:2], shapes[..., 2:3]
    bend = np.logaddexp(0.0, np.log(sizes / turn) / _BEND)
    return np.exp(-first * np.log(sizes) - (second - first) * _BEND * bend)


FORMS = {
    form.name: form
    for form in (
        Form("power", "a n^-b", ("exponent",), (False,), False, _power, "Hestness et al. 2017"),
        Form(
            "power_floor", "c + a n^-b", ("exponent",), (False,), True, _power,
            "to a floor: Hestness et al. 2017; saturating below a ceiling: Schulz et al. 2022",
        ),
        Form("log_linear", "c + a log n", (), (), True, _logarithm, "no change of slope"),
        Form(
            "exponential", "c + a exp(-n/s)", ("size",), (True,), True, _exponential,
            "saturates: nothing to gain beyond a few s",
        ),
        Form(
            "shoulder", "c + a (1 + n/s)^-b", ("exponent", "size"), (False, True), True, _shoulder,
            "a power law that begins at s: ridge regression, plug-in classifiers",
        ),
        Form(
            "broken_power", "c + a n^-b, beyond d with the exponent b2",
            ("exponent", "exponent_beyond", "turn"), (False, False, True), True, _broken,
            "Caballero et al. 2023, one break",
        ),
    )
}  # fmt: skip
# Not the exponential: fitted to the middle of a power law it looks right, and claims that nothing
# is left to gain.
DEFAULT = ("power", "power_floor", "log_linear", "shoulder")
EXPONENTS = (0.02, 4.0)


def named(name: str) -> Form:
    """The form of a name; raises InputError that lists them for a name that is none."""
    if name not in FORMS:
        raise InputError(f"there is no form {name!r}; expected one of {', '.join(FORMS)}")
    return FORMS[name]


def ranges(form: Form, sizes: np.ndarray) -> list[tuple[float, float]]:
    """What the logarithm of each shape may be, given sizes over the reference [M].

    Exponents lie between 0.02 (which is log-linear over any data) and 4; sizes between a thirtieth
    of the smallest and three times the largest of the data: outside no point says anything of them.
    """
    first, last = float(np.log(sizes.min())), float(np.log(sizes.max()))
    around = (first, last) if form.name == "broken_power" else (first - 3.4, last + 1.1)
    exponents = (float(np.log(EXPONENTS[0])), float(np.log(EXPONENTS[1])))
    return [around if is_size else exponents for is_size in form.is_size]


def grid(bounds: Sequence[tuple[float, float]], steps: int) -> np.ndarray:
    """All combinations of `steps` values of each logarithm, [steps ** K, K]; one row of none."""
    axes = [np.linspace(low, high, steps) for low, high in bounds]
    if not axes:
        return np.zeros((1, 0))
    return np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")], -1)
