"""Whether the parts that a config names belong together, before anything is trained or written."""

import functools

import jax

from neurojax import heads
from neurojax.data.sources.interface import Source
from neurojax.errors import InputError
from neurojax.models.interface import Weights, gather_rows
from neurojax.train.state import weight_shapes, without_numbers
from neurojax.train.step import Recipe


def require_fitting(recipe: Recipe, source: Source) -> None:
    """Traces a loss, computing nothing; parts and sizes that fitted are not traced again.

    Args:
        recipe: model, objective and head.
        source: of data.sources, which makes the batches.

    Raises:
        InputError: they cannot be put together; what the tracing said is chained to it.
    """
    model, objective, known = recipe.model, recipe.objective, without_numbers(source.facts)
    # Functions beside their modules: what is put in their place is other parts.
    parts = (model.module.init, model.module.apply, objective.module.loss)
    try:
        # Shapes alone: a real step would fail later, and in the words of a compiler.
        shapes = jax.eval_shape(lambda batch: batch, source.largest_batch())
        leaves, structure = jax.tree.flatten(shapes)
        found = _loss_of(parts, model, objective, recipe.head, known, tuple(leaves), structure)
    except InputError:
        raise
    except Exception as error:  # whatever a shape that does not fit leads to
        said = " ".join(str(error).split())[:120] or "no reason given"
        raise InputError(_words(recipe, source, f"{type(error).__name__}: {said}")) from error
    if found.shape != ():
        raise InputError(_words(recipe, source, f"the loss has the shape {found.shape}"))


@functools.lru_cache(maxsize=64)
def _loss_of(parts, model, objective, head, known, leaves, structure) -> jax.ShapeDtypeStruct:
    """Shape and type of the loss of a model and an objective of `train.step`."""

    def loss(trained, batch, key):
        rows = gather_rows(trained["tables"], model.module.tables(model.config), batch)
        weights = Weights(trained["params"], rows, trained["buffers"])

        def apply(weights, inputs, *, key):
            return model.module.apply(weights, inputs, model.config, train=True, key=key)

        query = objective.module.draw(key, batch, 0, objective.config)
        asked = (batch, query, 0, key, objective.config)
        return objective.module.loss(apply, heads.named(head), weights, *asked).numerator

    trained, batch = weight_shapes(model, *known), jax.tree.unflatten(structure, leaves)
    return jax.eval_shape(loss, trained, batch, jax.random.key(0))


def _words(recipe: Recipe, source, reason: str) -> str:
    parts = f"model {recipe.model.name}, objective {recipe.objective.name} and head {recipe.head}"
    kind = type(source).__module__.rpartition(".")[2]
    return (
        f"{parts} do not fit each other or the source {kind} ({reason}); take model, objective, "
        "head and eval whole from one config, such as configs/mtm.py, lfads.py or emg.py"
    )
