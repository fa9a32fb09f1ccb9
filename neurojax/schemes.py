"""The masking schemes of MtM by name and id; an id is also that of the scheme's prompt token.

Source: Zhang et al. 2024, "Towards a universal translator for neural dynamics", section 3.
"""

from neurojax.errors import InputError

# The position of a scheme is its id; the first four have a prompt token of the same id.
SCHEMES = ("neuron", "causal", "intra_region", "inter_region", "temporal")
PROMPTS = SCHEMES[:4]
NEURON, CAUSAL, INTRA_REGION, INTER_REGION, TEMPORAL = range(5)


def scheme_id(name: str) -> int:
    """Id of a scheme; raises InputError with the known names."""
    if name not in SCHEMES:
        raise InputError(f"unknown masking scheme {name!r}; choose from {', '.join(SCHEMES)}")
    return SCHEMES.index(name)
