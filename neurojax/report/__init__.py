"""Reads records of scores and makes what people look at: tables, pages, figures."""
