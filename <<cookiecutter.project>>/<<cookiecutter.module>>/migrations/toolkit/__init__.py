"""Migrations made safe: what env.py and the commands hand their work to.

A migration may ask one thing of it: ``toolkit.is_rehearsal()``.
"""

from .rehearsal import is_rehearsal

__all__ = ["is_rehearsal"]
