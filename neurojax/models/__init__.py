"""Modules from counts to log-rates: stitcher, tokenizer, transformer, heads."""
