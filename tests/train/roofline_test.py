"""Operations and bytes of small programs are those that one counts by hand; of a step those of the formula."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import pytest

from neurojax.commands import config as declarations
from neurojax.train import flops, loop, roofline, settings, step_memory
from neurojax.train.roofline import DEVICES
from tests import configs_for_tests
from tests.train.step_memory_test import MESH, SESSIONS, parts_of

F32 = 4


def work_of(function, *shapes, dtype=jnp.float32):
    given = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return roofline.of_program(jax.make_jaxpr(function)(*given).jaxpr)


def test_a_product_and_what_is_fused_behind_it():
    work = work_of(lambda a, b: jnp.tanh(a @ b) + 1.0, (8, 32), (32, 16))
    assert work.products == 2 * 8 * 32 * 16 and work.elementwise == 2 * 8 * 16
    # operands and result of the product, read once more by the chain of two, which writes its end alone
    assert work.moved == F32 * (8 * 32 + 32 * 16 + 8 * 16 + 8 * 16 + 8 * 16)


def test_a_scan_counts_every_step_and_a_branch_the_dearest():
    once = work_of(lambda a: a @ a, (16, 16))
    scanned = work_of(lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, None, length=5)[0], (16, 16))
    assert scanned.products == 5 * once.products and scanned.moved == 5 * once.moved

    def branch(a):
        return jax.lax.cond(a[0, 0] > 0, lambda a: a @ a @ a, lambda a: a, a)

    assert work_of(branch, (16, 16)).products == 2 * once.products


def test_rows_of_a_table_cost_their_rows():
    many = work_of(lambda table, rows: table[rows.astype(jnp.int32)], (100_000, 8), (4,))
    few = work_of(lambda table, rows: table[rows.astype(jnp.int32)], (100, 8), (4,))
    assert many.moved == few.moved < F32 * 100 * 8


def test_what_is_added_to_rows_costs_what_is_added():
    def added(table, rows, values):
        return table.at[rows.astype(jnp.int32)].add(values)

    many, few = (work_of(added, (size, 8), (400,), (400, 8)) for size in (100_000, 1_000))
    assert many.moved == few.moved >= 2 * F32 * 400 * 8


def test_a_convolution():
    def convolved(signal, kernel):
        return jax.lax.conv_general_dilated(signal, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))

    assert work_of(convolved, (2, 50, 3), (5, 3, 7)).products == 2 * (2 * 50 * 7) * 5 * 3


def test_bytes_or_products_decide():
    large, small = (work_of(lambda a: a @ a, (size, size)) for size in (8192, 64))
    for number, device in enumerate(DEVICES.values()):
        assert large.seconds[number] == pytest.approx(large.products / device.float32)
        assert small.seconds[number] == pytest.approx(small.moved / device.num_bytes)
    half = work_of(lambda a: a @ a, (8192, 8192), dtype=jnp.bfloat16)
    assert half.seconds[0] == pytest.approx(half.products / 989e12)
    assert "products" in roofline.told(large) and "bytes" in roofline.told(small)


def source_facts():
    config = declarations.load([f"--config={configs_for_tests.MTM}"])
    return settings.open_source(config, SESSIONS).facts


def test_products_of_a_step_are_those_of_the_formula():
    recipe, _, batch = parts_of()
    model = configs_for_tests.model_of(configs_for_tests.ndt_config(num_layers=1))
    recipe = dataclasses.replace(recipe, model=model)
    state = loop.abstract_state(recipe, source_facts(), MESH)
    found = roofline.of_program(step_memory.traced(recipe, state, batch, 1))
    counts = batch.trials["counts"]
    facts = types.SimpleNamespace(units_per_session=(counts.shape[-1],), num_bins=counts.shape[2])
    formula = flops.train_step_flops(recipe.model.config, counts.shape[0] * counts.shape[1], facts)
    assert found.products == pytest.approx(formula, rel=0.1)
