"""The part of a report on what a model's latents tell of their own trial, as HTML."""

from collections.abc import Mapping
from typing import Any

from neurojax.evals import collapse
from neurojax.report import page


def latents_table(evaluation: Mapping[str, Any]) -> list[str]:
    """A row a session; [] of a record of a model without latents."""
    found = {
        name: session["latents"]
        for name, session in evaluation["sessions"].items()
        if session.get("latents")
    }
    if not found:
        return []
    names = list(next(iter(found.values()))["nats"])
    rows = [[name, *_cells(block, names)] for name, block in found.items()]
    heads = [
        "session",
        *(f"{name}, nats" for name in names),
        "loss",
        "of another trial",
        "grows by",
    ]
    caption = (
        "nats a trial that latents cost; -log p of a count under the rates of its own trial and "
        "under those of the latents of another; collapsed where the second is less than "
        f"{100 * collapse.LEAST_SHARE:g} % larger: then try a {collapse.ADVICE}"
    )
    return [page.folded("Latents", page.table(heads, rows, caption=caption))]


def _cells(block: Mapping[str, Any], names: list[str]) -> list[str]:
    costs = [f"{block['nats'][name]:.2f}" for name in names]
    if block["gap_share"] is None:
        return [*costs, "-", "-", block["gap_reason"]]
    flag = " collapsed" if block["collapsed"] else ""
    share = f"{100 * block['gap_share']:.1f} %{flag}"
    return [*costs, f"{block['loss']:.4f}", f"{block['loss_shuffled']:.4f}", share]
