"""Scores in float64, with their intervals and tests."""
