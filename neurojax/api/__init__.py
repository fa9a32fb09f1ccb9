"""A trained model in Python, and what is shared with it: `nj.load`, estimators, model cards."""
