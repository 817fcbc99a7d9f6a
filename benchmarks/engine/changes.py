"""The changes that are measured, as each of the peers writes them."""

from dataclasses import dataclass, field

BATCH = "with op.batch_alter_table('item') as batch:\n"


@dataclass(frozen=True)
class Change:
    """One change of the table ``item``.

    ``target`` is how many times faster than stock Alembic the engine is to be at a million rows;
    ``floor`` is what the change cannot do without: "commit", "scan", "keys" or "rebuild".
    """

    name: str
    alembic: str
    floor: str
    target: float | None = None
    django: str | None = None
    sqlite_utils: str | None = None
    settings: dict = field(default_factory=dict)


def _batch(*lines: str) -> str:
    return BATCH + "".join(f"    batch.{line}\n" for line in lines)


WIDEN = "alter_column('note', type_=sa.String(400), existing_type=sa.String(200))"
DEFAULT = "alter_column('amount', server_default='1', existing_type=sa.Integer())"
NOT_NULL = "alter_column('code', nullable=False, existing_type=sa.String(20))"
CHECK = "create_check_constraint('ck_item_amount', 'amount >= 0')"
DROP_FK = "drop_constraint('fk_item_owner_id_maker', type_='foreignkey')"
ADD_FK = "create_foreign_key('fk_item_maker_id_maker', 'maker', ['maker_id'], ['id'])"
RENAME = "alter_column('note', new_column_name='remark', existing_type=sa.String(200))"
DROP = "drop_column('note')"
ADD = "add_column(sa.Column('extra', sa.String(20), nullable=True))"

CHANGES = [
    Change(
        "widen VARCHAR",
        _batch(WIDEN),
        "commit",
        300,
        "alter('note', CharField(max_length=200, null=True), CharField(max_length=400, null=True))",
    ),
    Change(
        "change default",
        _batch(DEFAULT),
        "scan",
        10,
        "alter('amount', IntegerField(db_default=0, null=True), IntegerField(db_default=1, null=True))",
        "transform(defaults={'amount': 1})",
    ),
    Change(
        "drop foreign key",
        _batch(DROP_FK),
        "commit",
        300,
        None,
        "transform(drop_foreign_keys=['owner_id'])",
    ),
    Change(
        "rename column",
        _batch(RENAME),
        "commit",
        300,
        "rename('note', 'remark', CharField(max_length=200, null=True))",
        "transform(rename={'note': 'remark'})",
    ),
    Change(
        "set NOT NULL",
        _batch(NOT_NULL),
        "scan",
        20,
        "alter('code', CharField(max_length=20, null=True), CharField(max_length=20))",
        "transform(not_null={'code'})",
    ),
    Change("add CHECK", _batch(CHECK), "scan", 20, "check('ck_item_amount', amount__gte=0)"),
    Change(
        "five metadata changes",
        _batch(WIDEN, DEFAULT, NOT_NULL, CHECK, DROP_FK),
        "scan",
        15,
    ),
    Change(
        "add foreign key",
        _batch(ADD_FK),
        "keys",
        7,
        None,
        "add_foreign_key('maker_id', 'maker', 'id')",
    ),
    Change(
        "drop column",
        _batch(DROP),
        "rebuild",
        3,
        "drop('note', CharField(max_length=200, null=True))",
        "transform(drop={'note'})",
    ),
    Change(
        "five mixed changes",
        _batch(
            WIDEN.replace("note", "code").replace("200", "20").replace("400", "40"),
            DEFAULT,
            CHECK,
            ADD,
            DROP,
        ),
        "rebuild",
        3,
    ),
    Change(
        "forced rebuild", _batch(WIDEN), "rebuild", None, settings={"SQLITE_SCHEMA_EDITS": False}
    ),
]
