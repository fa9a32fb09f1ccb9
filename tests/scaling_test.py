"""The count of what devices tell each other, on programs written by hand and on one that was compiled."""

import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from neurojax.train import sharding

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "scaling"


@pytest.fixture(scope="module")
def count():
    """`collectives` of the experiment, which is no package."""
    sys.path.insert(0, str(FOLDER))
    before = sys.modules.pop("collectives", None)
    try:
        yield importlib.import_module("collectives").collectives
    finally:
        sys.path.remove(str(FOLDER))
        del sys.modules["collectives"]
        if before is not None:
            sys.modules["collectives"] = before


def program(instruction: str, turns: str = "") -> str:
    """A loop around one instruction, as XLA prints it."""
    return f"""HloModule jit_step, num_partitions=8

%add (a: f32[], b: f32[]) -> f32[] {{
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}}

%body (carried: f32[4,8]) -> f32[4,8] {{
  %carried = f32[4,8]{{1,0}} parameter(0)
  ROOT {instruction}
}}

%condition (carried: f32[4,8]) -> pred[] {{
  %carried = f32[4,8]{{1,0}} parameter(0)
  ROOT %more = pred[] constant(true)
}}

ENTRY %main (given: f32[4,8]) -> f32[4,8] {{
  %given = f32[4,8]{{1,0}} parameter(0)
  ROOT %loop = f32[4,8]{{1,0}} while(%given), condition=%condition, body=%body{turns}
}}
"""


TURNS = ', backend_config={"known_trip_count":{"n":"5"}}'
PAIRS = "source_target_pairs={{0,1},{1,0}}"
CASES = [  # kind, its devices as the text names them, how many take part, bytes a device sends a time
    ("all-reduce", "replica_groups={{0,1},{2,3}}", 2, 2 * 128 / 2),
    ("all-reduce", "replica_groups=[2,4]<=[8]", 4, 2 * 128 * 3 / 4),
    ("all-gather", "replica_groups=mesh['a'=2,'b'=4] {'b'}", 4, 128 * 3 / 4),
    ("all-gather", "replica_groups=mesh['a'=2,'b'=4] {'a','b'}", 8, 128 * 7 / 8),
    ("reduce-scatter", "replica_groups=mesh['a'=8] {'a':(2)4}", 4, 128 * 3),
    ("all-to-all", "replica_groups=[1,8]<=[8]", 8, 128 * 7 / 8),
    ("collective-permute", PAIRS, 2, 128),
]


@pytest.mark.parametrize(("kind", "groups", "devices", "sent_bytes"), CASES)
def test_a_collective_counts_once_a_turn_with_the_devices_it_names(count, kind, groups, devices, sent_bytes):
    named = 'metadata={op_name="jit(step)/x"}'
    instruction = f"%told = f32[4,8]{{1,0}} {kind}(%carried), channel_id=1, {groups}, {named}"
    (found,) = count(program(instruction, TURNS))
    assert (found.kind, found.bytes, found.devices, found.times) == (kind, 4 * 8 * 4, devices, 5)
    assert found.origin == "jit(step)/x" and found.sent_bytes() == 5 * sent_bytes


def test_results_of_several_arrays_add_up_and_groups_of_one_tell_nothing(count):
    shape = "(f32[3]{0}, /*index=1*/bf16[2,2]{1,0}, pred[])"
    (found,) = count(program(f"%told = {shape} all-reduce(%carried), replica_groups={{{{0,1}}}}, to_apply=%add", TURNS))
    assert found.bytes == 3 * 4 + 4 * 2 + 1
    assert count(program(f"%told = {shape} all-reduce(%carried), replica_groups={{{{0}},{{1}}}}", TURNS)) == []


def test_turns_or_devices_that_the_text_does_not_say_are_an_error(count):
    instruction = "%told = f32[4,8]{1,0} all-reduce(%carried), replica_groups={{0,1}}"
    with pytest.raises(ValueError, match="unknown number of turns"):
        count(program(instruction))
    with pytest.raises(ValueError, match="without its devices"):
        count(program(instruction.partition(", replica")[0], TURNS))
    assert count(program("%plain = f32[4,8]{1,0} negate(%carried)")) == []  # a loop without collectives may be any


def test_the_mean_over_a_split_batch_is_one_all_reduce_of_its_gradient(count):
    mesh = sharding.make_mesh(8, 1)
    split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())

    def descend(weights, batch):
        return weights - jax.grad(lambda w: jnp.mean((batch @ w) ** 2))(weights)

    weights = jax.ShapeDtypeStruct((16, 4), jnp.float32, sharding=whole)
    batch = jax.ShapeDtypeStruct((32, 16), jnp.float32, sharding=split)
    (found,) = count(jax.jit(descend, out_shardings=whole).lower(weights, batch).compile().as_text())
    assert (found.kind, found.devices, found.times, found.bytes) == ("all-reduce", 8, 1, 16 * 4 * 4)
