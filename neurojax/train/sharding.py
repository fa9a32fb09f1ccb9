"""Where arrays live: a ("data", "model") mesh and rules (path regex, axis names)."""

import re
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from neurojax.batch import Batch
from neurojax.errors import InputError, require

AXES = ("data", "model")
Rule = tuple[str, tuple[str | None, ...]]


def make_mesh(data: int, model: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of data x model devices; data=0 takes all that `model` leaves.

    Raises:
        InputError: the product does not match the devices.
    """
    devices = list(jax.devices() if devices is None else devices)
    require(
        model >= 1 and data >= 0 and len(devices) % model == 0,
        f"sharding.mesh={data}x{model} does not fit {len(devices)} devices; choose divisors of it",
    )
    data = data or len(devices) // model
    require(
        data * model <= len(devices),
        f"sharding.mesh={data}x{model} needs {data * model} devices, {len(devices)} are present",
    )
    require(
        len({device.process_index for device in devices}) <= 1 or data * model >= len(devices),
        f"sharding.mesh={data}x{model} leaves out {len(devices) - data * model} of {len(devices)} "
        "devices; a run of several processes uses all: set sharding.data=0",
    )
    # `model` varies fastest: the devices of one process, close by, share a layer's matrices.
    return Mesh(np.asarray(devices[: data * model]).reshape(data, model), AXES)


def path_name(path) -> str:
    """A tree path as `params/transformer/layers/query/kernel`."""
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    )


def state_shardings(abstract_state, mesh: Mesh, rules: Sequence[Rule], member_axes: bool = False):
    """A NamedSharding for every leaf: the first rule whose regex is found in the leaf's path.

    An axis name applies to its dimension only when the mesh divides that dimension; otherwise
    that dimension is replicated. A leaf without a matching rule is replicated. With `member_axes`
    (an ensemble) the first axis of every leaf is that of the members, and rules speak of the
    others.

    Raises:
        InputError: an axis name the mesh does not have or that a rule repeats, or a regex that does
            not compile.
    """
    for pattern, axes in rules:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InputError(
                f"sharding.rules: {pattern!r} is not a regular expression ({error})"
            ) from None
        for axis in axes:
            require(
                axis is None or axis in mesh.axis_names,
                f"sharding.rules: {pattern!r} names axis {axis!r}, the mesh has {AXES}",
            )
            require(
                axis is None or tuple(axes).count(axis) <= 1,
                f"sharding.rules: {pattern!r} names axis {axis!r} twice; a dimension each",
            )

    def shard(path, leaf):
        # The first rule that is found decides; a leaf that none names is on every device.
        name = path_name(path)
        for pattern, axes in rules:
            if re.search(pattern, name):
                axes = (None, *axes) if member_axes else axes
                # jax shards evenly or not at all; a rule may say less than the leaf has dimensions.
                spec = [
                    axis if axis is not None and size % mesh.shape[axis] == 0 else None
                    for axis, size in zip(axes, leaf.shape, strict=False)
                ]
                return NamedSharding(mesh, PartitionSpec(*spec))
        return NamedSharding(mesh, PartitionSpec())

    return jax.tree_util.tree_map_with_path(shard, abstract_state)


def trial_sharding(mesh: Mesh, leaf) -> NamedSharding:
    """Sharding of an array [G, b, ...]: trials over the data axis, where it divides them."""
    divides = leaf.shape[1] % mesh.shape["data"] == 0
    return NamedSharding(mesh, PartitionSpec(None, "data") if divides else PartitionSpec())


def batch_shardings(mesh: Mesh, batch: Batch) -> Batch:
    """A NamedSharding for every array: trials are shared, groups are whole on every device."""
    trials = jax.tree.map(lambda leaf: trial_sharding(mesh, leaf), batch.trials)
    return Batch(trials, jax.tree.map(lambda leaf: replicated(mesh), batch.groups))


def rows_here(mesh: Mesh, num_trials: int) -> slice:
    """The trials of a group of `num_trials` that this process's devices hold."""
    # Trials that do not divide lie on every device, so every process gathers all of them.
    if jax.process_count() == 1 or num_trials % mesh.shape["data"]:
        return slice(0, num_trials)
    # Devices of one process lie side by side along `data`: their trials are one run.
    held = (
        NamedSharding(mesh, PartitionSpec("data"))
        .addressable_devices_indices_map((num_trials,))
        .values()
    )
    bounds = [index[0].indices(num_trials) for index in held]
    return slice(min(start for start, _, _ in bounds), max(stop for _, stop, _ in bounds))


def place_batch(mesh: Mesh, batch: Batch, num_trials: int) -> Batch:
    """Puts a batch on the mesh.

    Args:
        mesh: of `make_mesh`.
        batch: numpy arrays; of each group's trials those that `rows_here` names.
        num_trials: trials of a group, over all processes.
    """
    if jax.process_count() == 1:
        return jax.device_put(batch, batch_shardings(mesh, batch))

    def place(leaf):
        # The shape over all processes, of which this one holds `rows_here`.
        shape = (leaf.shape[0], num_trials, *leaf.shape[2:])
        where = trial_sharding(mesh, jax.ShapeDtypeStruct(shape, leaf.dtype))
        return jax.make_array_from_process_local_data(where, leaf, shape)

    return Batch(jax.tree.map(place, batch.trials), replicate(mesh, batch.groups))


def replicate(mesh: Mesh, tree):
    """Puts a tree of numpy arrays, the same on every process, whole on every device."""
    everywhere = replicated(mesh)
    if jax.process_count() == 1:
        return jax.device_put(tree, everywhere)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(everywhere, leaf, leaf.shape), tree
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())
