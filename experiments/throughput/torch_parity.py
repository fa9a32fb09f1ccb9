"""Loss and gradients of the peer from given weights: torch_parity.py SHAPE GIVEN.npz FOUND.npz."""

import sys

import numpy as np
import torch
from rows import PARITY
from torch_model import NDT1Stitch, poisson_loss
from torch_side import widths_of

INPUTS = ("counts", "visible", "target", "scheme", "causal")


def main(shape_name: str, source: str, target: str) -> None:
    with np.load(source) as arrays:
        given = {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
    counts, visible, target_mask, scheme, causal = (given.pop(name) for name in INPUTS)
    shape = PARITY[shape_name]
    model = NDT1Stitch(widths_of(shape), [shape.num_units])
    model.load_state_dict(given, strict=True)
    log_rates = model(torch.where(visible, counts.float(), 0.0), 0, int(scheme), bool(causal))
    loss = poisson_loss(log_rates, counts.float(), target_mask)
    loss.backward()
    found = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    np.savez(target, loss=loss.detach().numpy(), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
