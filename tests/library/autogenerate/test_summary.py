"""What a migration is said to do: one phrase for what is one change."""

import pytest
import sqlalchemy as sa
from alembic.operations import ops

from flask_keel.autogenerate import summary


def table(*operations):
    return ops.UpgradeOps([ops.ModifyTableOps("item", list(operations))])


DROP = ops.DropConstraintOp("pos", "item", type_="check")
MADE = ops.CreateCheckConstraintOp("pos", "item", sa.text("n > 1"))


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ([DROP, MADE], ["change constraint pos of item"]),
        ([MADE, DROP], ["change constraint pos of item"]),
        ([DROP], ["drop constraint pos of item"]),
        ([MADE], ["add constraint pos to item"]),
        (
            [
                ops.DropConstraintOp("fk", "item", type_="foreignkey"),
                ops.CreateForeignKeyOp("fk", "item", "user", ["user_id"], ["id"]),
            ],
            ["change constraint fk of item"],
        ),
        (
            [ops.DropIndexOp("ix", "item"), ops.CreateIndexOp("ix", "item", ["a"], unique=True)],
            ["change index ix of item"],
        ),
        (
            [ops.DropIndexOp("ix_a", "item"), ops.CreateIndexOp("ix_b", "item", ["b"])],
            ["drop index ix_a of item", "index item.b"],
        ),
        ([DROP, ops.DropConstraintOp("two", "item")], ["drop constraint pos and two of item"]),
    ],
)
def test_what_is_done_is_said_with_its_table(operations, said):
    assert summary.phrases(table(*operations)) == said
