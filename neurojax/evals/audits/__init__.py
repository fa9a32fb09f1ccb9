"""Audits: what a score may rest on instead of what it claims, each a number with a null."""
