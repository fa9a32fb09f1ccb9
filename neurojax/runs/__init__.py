"""A run on disk: its folder, checkpoints, metrics and processes. Paths and arrays only."""
