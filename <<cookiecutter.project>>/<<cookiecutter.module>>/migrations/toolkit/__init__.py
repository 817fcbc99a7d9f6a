"""Migrations made safe: what env.py and the commands hand their work to.

What a migration may use of it: ``toolkit.is_rehearsal()``, ``toolkit.backfill(...)`` and
``toolkit.require_no_nulls(...)``.
"""

from .backfill import backfill
from .nulls import require_no_nulls
from .rehearsal import is_rehearsal

__all__ = ["backfill", "is_rehearsal", "require_no_nulls"]
