"""From the weights of one run to the start of another; weights that are shared."""
