"""Experiments on a trained twin in place of the animal: images in, responses out."""
