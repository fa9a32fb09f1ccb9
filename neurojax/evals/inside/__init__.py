"""A look inside a trained model: what its states are made of, and what they drive."""
