"""What the environment asks of JAX, checked before a command computes: devices that are not here,
modes in which nothing runs."""

import jax

from neurojax.errors import InputError, require

GUARDS = (
    "jax_transfer_guard",
    "jax_transfer_guard_host_to_device",
    "jax_transfer_guard_device_to_host",
    "jax_transfer_guard_device_to_device",
)


def require_usable() -> None:
    """Raises InputError for a setting of JAX under which no command can compute; starts the
    devices."""
    promotion = jax.config.jax_numpy_dtype_promotion
    require(
        promotion != "strict",
        f"JAX_NUMPY_DTYPE_PROMOTION={promotion} is set, but neurojax multiplies numbers by masks "
        "of truth values; unset it, or set it to standard",
    )
    for name in GUARDS:
        guard = getattr(jax.config, name, None)
        require(
            guard not in ("disallow", "disallow_explicit"),
            f"{name.upper()}={guard} is set, but batches and scores travel between host and "
            "device; unset it, or set it to allow",
        )
    _require_devices()


def _require_devices() -> None:
    asked = jax.config.jax_platforms
    try:
        jax.devices()
        return
    except (RuntimeError, AssertionError):  # an assertion where the plugin of the device is missing
        if not asked:
            raise
    jax.config.update("jax_platforms", "")
    try:
        here = dict.fromkeys([*(device.platform for device in jax.devices()), "cpu"])
    finally:
        jax.config.update("jax_platforms", asked)
    raise InputError(
        f"JAX_PLATFORMS={asked} asks for a device that JAX does not find; there are: "
        f"{', '.join(here)}; unset JAX_PLATFORMS or set it to one of these, or install the jax "
        "of that device"
    )
