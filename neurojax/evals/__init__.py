"""Evaluation: tasks, baselines, scores and the report. Receives functions and parameters, never
models."""
