"""One module per verb of the command line; each wires the other packages together."""
