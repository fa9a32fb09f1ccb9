"""Synthetic animals whose rates are known."""
