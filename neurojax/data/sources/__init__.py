"""Sources: batch i is a pure function of (seed, i)."""
