"""Programs lower for accelerators that are not here, and none of them asks the host or computes in float64."""

import jax
import pytest

from tests import experiment_modules
from tests.configs_test import CONFIGS

# A batched factorisation, once a program: the read-in's posterior of a session.
LIBRARY = {"cuda": {"cusolver_potrf_ffi"}, "tpu": set()}
QUICK = ("mtm", "lfads", "emg", "twin")  # one of each kind of model; the others with -m slow


@pytest.fixture(scope="module")
def lowering():
    with experiment_modules.imported("throughput", ("lowering",), ()) as modules:
        yield modules.lowering


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow) for path in CONFIGS],
    ids=lambda path: path.stem,
)
def test_a_step_and_a_prediction_lower_for_gpu_and_tpu(path, lowering):
    found = lowering.lowered(path)
    assert set(found) == {f"{name}, {where}" for name in ("train", "predict") for where in ("cuda", "tpu")}
    for name, counts in found.items():
        assert counts["asks_the_host"] == counts["float64"] == 0, name
        assert set(counts["custom_calls"]) <= LIBRARY[name.split(", ")[1]], name
        assert all(number == 1 for number in counts["custom_calls"].values()), name


def test_what_asks_the_host_is_found(lowering):
    def asks(value):
        jax.debug.callback(print, value)
        return value

    assert lowering.found_in(jax.jit(asks).lower(1.0).as_text())["asks_the_host"] > 0
    with jax.enable_x64(True):
        assert lowering.found_in(jax.jit(lambda value: value + 1).lower(1.0).as_text())["float64"] > 0
    with pytest.raises(ValueError, match="platform"):  # and such a program does not lower elsewhere
        jax.jit(asks).trace(1.0).lower(lowering_platforms=("tpu",))


def test_a_step_and_a_prediction_compile_for_a_tpu_that_is_not_there(lowering):
    pytest.importorskip("libtpu", reason='libtpu is not installed: pip install "jax[tpu]"')
    path = next(path for path in CONFIGS if path.stem == "emg")
    found = lowering.compiled(path, lowering.tpu())
    assert found.keys() == {"train", "predict"}
    assert found["train"]["flops"] > found["predict"]["flops"] > 0 and found["train"]["arguments_bytes"] > 0
