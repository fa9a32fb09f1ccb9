"""Recordings on the host: formats, conversion and batches. Imports numpy, scipy and grain only."""
