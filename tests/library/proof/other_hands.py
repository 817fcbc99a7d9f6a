"""Migrations as other hands write them, all of them right: made rows must not stand in their way.

Each is (name, models before, models after, hand-written parts), for the databases that it is said of.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from .good import A, C, by_hand, item, pk, table

EVERYWHERE = ("sqlite", "postgresql", "mariadb")
CASES: dict[str, list] = {name: [] for name in EVERYWHERE}
NAMES = {"sa": sa, "mysql": mysql, "postgresql": postgresql}


def case(name, before, after, upgrade, downgrade="pass", on=EVERYWHERE):
    for database in on:
        CASES[database].append(by_hand(name, before, after, upgrade, downgrade))


def becomes(name, old, new, up="", down="", using=None, back=None, on=EVERYWHERE, **options):
    """A column of item gets another type; ``using`` and ``back`` are PostgreSQL's expressions."""

    def code(first, one, other, expression):
        more = f", postgresql_using={expression!r}" if expression else ""
        return (
            f"{first}\nwith op.batch_alter_table('item') as batch:\n"
            f"    batch.alter_column('a', existing_type={one}, type_={other}{more})"
        )

    before, after = (item(C("a", eval(type_, NAMES), **options)) for type_ in (old, new))
    case(name, [before], [after], code(up, old, new, using), code(down, new, old, back), on)


# -- rows that a migration brings with it ------------------------------------------------------------

NAMED = C("name", sa.String(20), unique=True)
case(
    "rows with fixed ids",
    [item(NAMED)],
    [item(NAMED)],
    """
    role = sa.table('item', sa.column('id', sa.Integer), sa.column('name', sa.String))
    op.bulk_insert(role, [{'id': n, 'name': name} for n, name in enumerate(('a', 'b', 'c'), 1)])
    """,
    "op.execute('DELETE FROM item WHERE id IN (1, 2, 3)')",
)
LINK = table("link", pk(), C("item_id", sa.ForeignKey("item.id"), nullable=False))
case(
    "rows with fixed ids and their children",
    [item(A), LINK],
    [item(A), LINK],
    """
    op.execute("INSERT INTO item (id, a) VALUES (1, 'admin'), (2, 'x')")
    op.execute('INSERT INTO link (id, item_id) VALUES (1, 1)')
    """,
    """
    op.execute('DELETE FROM link WHERE id = 1')
    op.execute('DELETE FROM item WHERE id IN (1, 2)')
    """,
)
SMALL = table("item", C("id", sa.SmallInteger, primary_key=True), A)
case(
    "rows with fixed ids in a small key",
    [SMALL],
    [SMALL],
    "op.execute('INSERT INTO item (id) VALUES (1), (10), (100), (1000)')",
    "op.execute('DELETE FROM item WHERE id IN (1, 10, 100, 1000)')",
)
CODE = C("code", sa.Integer, unique=True, nullable=False)
case(
    "rows with numbers that are unique",
    [item(CODE)],
    [item(CODE)],
    "op.execute('INSERT INTO item (code) VALUES (0), (1), (2), (-1), (7), (100), (404)')",
    "op.execute('DELETE FROM item WHERE code < 1000')",
)

# -- rows that its python reads ------------------------------------------------------------------------

READ = """
t = sa.table('item', sa.column('id', sa.Integer), {columns})
bind = op.get_bind()
for row in bind.execute(sa.select(t)).all():
    {body}
"""


def reads(name, column, as_, body, on=EVERYWHERE):
    case(
        name,
        [item(column)],
        [item(column)],
        READ.format(columns=f"sa.column('{column.name}', {as_})", body=body),
        on=on,
    )


reads(
    "JSON that is an object",
    C("data", sa.JSON),
    "sa.JSON",
    "dict(row.data or {}).pop('old', None)",
)
reads(
    "JSON that is a list",
    C("tags", sa.JSON, nullable=False, server_default=sa.text("('[]')")),
    "sa.JSON",
    "row.tags.append('x')",
)
reads(
    "JSON that is a list for the models",
    C("tags", sa.JSON, default=list),
    "sa.JSON",
    "(row.tags or []).append('x')",
)
reads(
    "text that is JSON",
    C("data", sa.Text),
    "sa.JSON",
    "dict(row.data or {})",
    on=("sqlite", "mariadb"),
)
reads(
    "text that is an Enum",
    C("kind", sa.String(20)),
    "sa.Enum('big', 'small', native_enum=False)",
    "assert row.kind in (None, 'big', 'small')",
)
reads(
    "bytes that are a pickle",
    C("data", sa.LargeBinary(200)),
    "sa.PickleType",
    "assert row.data is None or isinstance(row.data, (dict, list))",
)
reads(
    "an address",
    C("email", sa.String(80), nullable=False),
    "sa.String",
    "name, host = row.email.split('@')",
)
case(
    "a model of its own, in a session",
    [item(C("kind", sa.String(20)))],
    [item(C("kind", sa.String(20)))],
    """
    from sqlalchemy.orm import Session, declarative_base

    class Item(declarative_base()):
        __tablename__ = 'item'
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.Enum('big', 'small', native_enum=False))

    session = Session(bind=op.get_bind())
    for one in session.query(Item):
        one.kind = 'small' if one.kind == 'big' else 'big'
    session.flush()
    """,
)
case(
    "a type of the application's own",
    [item(C("a", sa.Text))],
    [item(C("a", sa.Text))],
    """
    import json

    class Dict(sa.types.TypeDecorator):
        impl, cache_ok = sa.Text, True

        def process_result_value(self, value, dialect):
            return None if value is None else json.loads(value)

    t = sa.table('item', sa.column('a', Dict))
    for a, in op.get_bind().execute(sa.select(t.c.a)).all():
        str(a)
    """,
)
MONEY = (C("price", sa.Integer), C("cost", sa.Numeric(10, 2)), C("big", sa.BigInteger))
case(
    "prices in cents",
    [item(*MONEY)],
    [item(*MONEY)],
    "op.execute('UPDATE item SET price = price * 100, cost = cost * 100, big = big * 100')",
    "op.execute('UPDATE item SET price = price / 100, cost = cost / 100, big = big / 100')",
)
DAYS = (C("day", sa.Date, nullable=False), C("at", sa.DateTime, nullable=False))
case(
    "a month is added",
    [item(*DAYS)],
    [item(*DAYS)],
    """
    from datetime import timedelta
    t = sa.table('item', sa.column('id', sa.Integer), sa.column('day', sa.Date),
                 sa.column('at', sa.DateTime))
    bind, month = op.get_bind(), timedelta(days=30)
    for row in bind.execute(sa.select(t)).all():
        later = {'day': row.day + month, 'at': row.at + month}
        bind.execute(t.update().where(t.c.id == row.id).values(**later))
    """,
)

# -- columns that get another type ---------------------------------------------------------------------

STATUS = "sa.Enum('open', 'closed', name='status', native_enum=False)"
becomes("a text becomes an Enum", "sa.String(20)", STATUS, on=("sqlite",))
becomes(
    "a text becomes an Enum with a CHECK",
    "sa.String(20)",
    STATUS.replace(")", ", create_constraint=True)"),
    on=("sqlite",),
)
becomes("a text becomes an Enum", "sa.String(20)", "sa.Enum('open', 'closed')", on=("mariadb",))
becomes(
    "a text becomes an Enum with other words",
    "sa.String(20)",
    "sa.Enum('OPEN', 'CLOSED', name='status')",
    up="""
op.execute("UPDATE item SET a = 'OPEN' WHERE a = 'open'")
op.execute("UPDATE item SET a = 'CLOSED' WHERE a IN ('done', 'closed')")""",
    on=("sqlite", "mariadb"),
)
MAP = """
words = {'o': 'OPEN', 'c': 'CLOSED'}
bind = op.get_bind()
for id, a in bind.execute(sa.text('SELECT id, a FROM item WHERE a IS NOT NULL')).all():
    bind.execute(sa.text('UPDATE item SET a = :a WHERE id = :id'), {'a': words[a], 'id': id})"""
becomes(
    "a text becomes an Enum by a dictionary",
    "sa.String(20)",
    "sa.Enum('OPEN', 'CLOSED', name='status')",
    up=MAP,
    down="op.execute(\"UPDATE item SET a = CASE a WHEN 'OPEN' THEN 'o' ELSE 'c' END\")",
    on=("sqlite",),
)
MADE = "postgresql.ENUM('open', 'closed', name='status').create(op.get_bind())\n"
ENUM = C("a", postgresql.ENUM("open", "closed", name="status"))
ALTER = 'op.execute("ALTER TABLE item ALTER a TYPE {type} USING {using}")\n'
for number, (using, back) in enumerate(
    [
        ("a::status", "a::varchar"),
        ("lower(a)::status", "upper(a::text)"),
        (
            "(CASE a WHEN 'O' THEN 'open' WHEN 'C' THEN 'closed' END)::status",
            "CASE a WHEN 'open' THEN 'O' ELSE 'C' END",
        ),
        ("(CASE WHEN a = 'O' THEN 'open' WHEN a = 'C' THEN 'closed' END)::status", "a::text"),
    ]
):
    case(
        f"a text becomes an enum of PostgreSQL {number}",
        [item(C("a", sa.String(20)))],
        [item(ENUM)],
        MADE + ALTER.format(type="status", using=using),
        ALTER.format(type="varchar(20)", using=back) + "op.execute('DROP TYPE status')",
        on=("postgresql",),
    )
becomes(
    "a text becomes a Boolean",
    "sa.String(20)",
    "sa.Boolean()",
    using="a::boolean",
    back="CASE WHEN a THEN '1' WHEN NOT a THEN '0' END",
)
becomes(
    "a text becomes a Boolean by cases",
    "sa.String(20)",
    "sa.Boolean()",
    using="CASE WHEN a = 'yes' THEN true WHEN a = 'no' THEN false END",
    back="CASE WHEN a THEN 'yes' WHEN NOT a THEN 'no' END",
    on=("postgresql",),
)
becomes(
    "a text becomes a Boolean by an UPDATE",
    "sa.String(20)",
    "sa.Boolean()",
    up="op.execute(\"UPDATE item SET a = CASE a WHEN 'yes' THEN '1' WHEN 'no' THEN '0' END\")",
    on=("sqlite", "mariadb"),
)
becomes(
    "a text becomes bytes",
    "sa.String(40)",
    "sa.LargeBinary()",
    using="a::bytea",
    back="convert_from(a, 'UTF8')",
)
becomes("JSON becomes JSONB", "sa.JSON()", "postgresql.JSONB()", on=("postgresql",))
becomes(
    "a text becomes JSON",
    "sa.Text()",
    "sa.JSON()",
    using="a::json",
)
becomes("a time becomes a text", "sa.Time()", "sa.String(20)", back="a::time")
becomes("a text becomes a time", "sa.String(20)", "sa.Time()", using="a::time")
becomes("a moment becomes a day", "sa.DateTime()", "sa.Date()")
becomes("a day becomes a moment", "sa.Date()", "sa.DateTime()")
becomes("a text becomes a moment", "sa.String(40)", "sa.DateTime()", using="a::timestamp")
becomes("a moment becomes a text", "sa.DateTime()", "sa.String(40)", back="a::timestamp")
becomes("an integer becomes a float", "sa.Integer()", "sa.Float()")
becomes("a float becomes an integer", "sa.Float()", "sa.Integer()")
becomes(
    "an interval becomes seconds",
    "sa.Interval()",
    "sa.Integer()",
    using="extract(epoch FROM a)::integer",
    back="make_interval(secs => a)",
    on=("postgresql",),
)
becomes(
    "a text becomes an array",
    "sa.Text()",
    "postgresql.ARRAY(sa.Text())",
    using="string_to_array(a, ',')",
    back="array_to_string(a, ',')",
    on=("postgresql",),
)
