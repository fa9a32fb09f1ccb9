"""Figures: functions that draw data on a matplotlib Axes and return it; no pyplot, no global state."""
