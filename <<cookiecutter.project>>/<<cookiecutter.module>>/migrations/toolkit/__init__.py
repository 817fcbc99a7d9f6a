"""Migrations made safe: what env.py and the commands hand their work to."""
