"""What the counted bytes would cost on accelerators that were not at hand. A calculation, not a measurement.

    step time, nothing overlapped  = operations / (peak x share of peak) + bytes sent / bandwidth
    step time, all overlapped      = the larger of the two
    weak-scaling efficiency        = operations / (peak x share of peak) / step time

Operations of a device are those of `neurojax.train.flops` for its trials. Bytes are those of the data-parallel mesh
at eight devices, carried to N devices by the ring's (N - 1) / N: gradients of the shared parameters and of the rows of
the batch's sessions, float32. Latency and the input pipeline are left out.
"""

SHARE_OF_PEAK = 0.45  # the goal of one device; unmeasured
TRIALS = (16, 64, 256)

# Peak operations/s (bfloat16, dense) and bytes/s that one device can send, as their makers publish them.
PODS = {
    "v5e-256": {
        "devices": 256,
        "peak": 197e12,
        "bandwidth": 200e9,
        "source": "docs.cloud.google.com/tpu/docs/v5e: 197 TFLOP/s, 400 GB/s bidirectional inter-chip a chip",
    },
    "64 x H200, 8 a host": {
        "devices": 64,
        "peak": 989e12,
        "bandwidth": 50e9,
        "source": "datasheet: 989 TFLOP/s; one 400 Gb/s port a GPU between hosts; NVLink inside them not counted",
    },
}


def estimates(row: dict, trials_of_row: int) -> dict[str, dict]:
    """Efficiencies of each pod from a row of the collectives (data parallel, 8 devices, `trials_of_row` a device)."""
    found = {}
    payload = sum(row["sent_bytes"].values()) / (2 * (row["devices"] - 1) / row["devices"])
    for name, pod in PODS.items():
        sent = 2 * payload * (pod["devices"] - 1) / pod["devices"]
        communication_s = sent / pod["bandwidth"]
        for trials in TRIALS:
            compute_s = row["flops_a_device"] * trials / trials_of_row / (pod["peak"] * SHARE_OF_PEAK)
            apart, together = compute_s + communication_s, max(compute_s, communication_s)
            found[f"{name}, {trials} trials a device"] = {
                "pod": name,
                "trials_a_device": trials,
                "compute_s": compute_s,
                "communication_s": communication_s,
                "efficiency_not_overlapped": compute_s / apart,
                "efficiency_overlapped": compute_s / together,
                "trials_per_s": [pod["devices"] * trials / apart, pod["devices"] * trials / together],
                "source": pod["source"],
            }
    return found
