"""Scratch databases: made, built from the history, kept, dropped."""
