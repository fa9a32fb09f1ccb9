"""Models: arrays to states and natural parameters, and the parts that they share."""
