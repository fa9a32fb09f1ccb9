"""Objectives: what is hidden, what is asked, and the loss."""
