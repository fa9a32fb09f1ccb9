"""One model on a new animal: fine-tuning, the Python API, release."""
