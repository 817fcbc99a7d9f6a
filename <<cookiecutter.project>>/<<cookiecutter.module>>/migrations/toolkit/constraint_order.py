"""Alembic's rebuilt tables, with their constraints in the same order each time.

Alembic walks through a set, so the text of a table that ``--sql`` prints differed from the one that the
upgrade wrote.
"""

from alembic.operations import batch
from sqlalchemy.util import OrderedSet


class InOrder(batch.ApplyBatchImpl):
    """Alembic's rebuild, which reads the constraints in the order in which they were reflected."""

    def _grab_table_elements(self) -> None:
        in_order = sorted(self.table.constraints, key=lambda constraint: constraint._creation_order)
        self.table.constraints = OrderedSet(in_order)
        super()._grab_table_elements()


def install() -> None:
    """Take the place of Alembic's own rebuild."""
    batch.ApplyBatchImpl = InOrder
