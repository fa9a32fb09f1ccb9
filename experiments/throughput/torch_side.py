"""The PyTorch peer in a timed process: the same step, with PyTorch's own means (SDPA, fused AdamW, torch.compile)."""

import time

import made_data
import torch
import worker
from rows import NUM_BINS, Shape
from torch_model import NDT1Stitch, Widths, poisson_loss

NUM_BATCHES = 8
NEURON, NEURON_RATIO = 0, 0.3


def widths_of(shape: Shape) -> Widths:
    model = {name: value for name, value in shape.model if name not in ("compute_dtype", "unroll")}
    return Widths(**model, num_positions=NUM_BINS, num_session_rows=40)


def masked_units(num_trials: int, num_units: int, generator: torch.Generator) -> torch.Tensor:
    """bool [trials, units]: hidden and predicted, at least one a trial."""
    uniform = torch.rand(num_trials, num_units, generator=generator)
    return (uniform < NEURON_RATIO) | (uniform == uniform.min(dim=1, keepdim=True).values)


def serve(shape: Shape, compiled: bool, device: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_default_device(device)
    model = NDT1Stitch(widths_of(shape), [shape.num_units] * shape.num_sessions)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=10_000, pct_start=0.15)
    counts_of = [made_data.batch(shape.num_units, shape.trials, index) for index in range(NUM_BATCHES)]
    batches = [torch.from_numpy(counts).to(device) for counts in counts_of]
    chosen = [int(made_data.sessions(shape.num_sessions, 1, index)[0]) for index in range(NUM_BATCHES)]
    half = dict(shape.model).get("compute_dtype") == "bfloat16"
    generator = torch.Generator(device).manual_seed(0)
    forward = torch.compile(model) if compiled else model
    step = 0

    def run_steps(number: int) -> float:
        nonlocal step
        for _ in range(number):
            counts = batches[step % NUM_BATCHES].float()
            hidden = masked_units(*counts.shape[::2], generator)[:, None]
            with torch.autocast(device, torch.bfloat16, enabled=half):
                log_rates = forward(counts.masked_fill(hidden, 0.0), chosen[step % NUM_BATCHES], NEURON, False)
            loss = poisson_loss(log_rates, counts, hidden)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
        return loss.item()

    begun = time.perf_counter()
    run_steps(1)
    compile_s = time.perf_counter() - begun if compiled else 0.0
    run_steps(1)
    parameters = sum(parameter.numel() for parameter in model.parameters())

    def at_end() -> dict:
        return {"peak_device_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None}

    worker.serve({"compile_s": compile_s, "parameters": parameters, "device": device}, run_steps, at_end)


if __name__ == "__main__":
    side, shape, device = worker.asked(__doc__)
    serve(shape, side == "compile", {"cpu": "cpu", "gpu": "cuda"}[device])
