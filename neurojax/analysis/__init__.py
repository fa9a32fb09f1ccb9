"""Statistics of what models and people did: learning curves, choices, certainty."""
