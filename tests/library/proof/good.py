"""Migrations that are right, every one in its own way: none of them may fail its proof.

Each is (name, models before, models after, hand-written parts or None for autogenerate's).
"""

import enum

import sqlalchemy as sa
from sqlalchemy import Column as C
from sqlalchemy.sql.elements import conv

from .migrations import table


class Mood(enum.Enum):
    happy = 1
    sad = 2


def pk(name="id", **options):
    return C(name, sa.Integer, primary_key=True, **options)


def name(length=80, **options):
    return C("name", sa.String(length), **{"nullable": False, **options})


PERSON = (pk(), name(), C("email", sa.String(255), nullable=False, unique=True))
person = table("person", *PERSON)
POST = (
    pk(),
    C("person_id", sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False, index=True),
    C("title", sa.String(200), nullable=False),
    C("body", sa.Text, nullable=False),
)
post = table("post", *POST)


def item(*columns, **options):
    return table("item", pk(), *columns, **options)


def changed(name, before, after):
    """A change of one column of a table that has others, too."""
    other = C("other", sa.String(40))
    return (name, [item(before, other)], [item(after, other)], None)


def types(*columns):
    return table("thing", pk(), *columns)


ALL_TYPES = [
    C("big", sa.BigInteger),
    C("small", sa.SmallInteger),
    C("flag", sa.Boolean),
    C("when", sa.DateTime),
    C("zoned", sa.DateTime(timezone=True)),
    C("day", sa.Date),
    C("hour", sa.Time),
    C("span", sa.Interval),
    C("price", sa.Numeric(10, 2)),
    C("ratio", sa.Float),
    C("exact", sa.Double),
    C("blob", sa.LargeBinary),
    C("data", sa.JSON),
    C("key", sa.Uuid),
    C("text", sa.Text),
    C("uni", sa.Unicode(30)),
    C("mood", sa.Enum(Mood, name="mood", native_enum=False)),
    C("size", sa.Enum("s", "m", "l", name="size", native_enum=False, create_constraint=True)),
]

GENERATED = [
    ("create a table", [], [person], None),
    ("create two linked tables", [], [person, post], None),
    ("create a child of a table with rows", [person], [person, post], None),
    ("drop a child", [person, post], [person], None),
    ("drop all", [person, post], [], None),
    ("create a table of all types", [person], [person, types(*ALL_TYPES)], None),
    ("drop a table of all types", [person, types(*ALL_TYPES)], [person], None),
    ("add columns of all types", [types()], [types(*ALL_TYPES)], None),
    ("drop columns of all types", [types(*ALL_TYPES[:-1])], [types()], None),
    (
        "rebuild a table of all types",
        [types(*ALL_TYPES, C("x", sa.Integer))],
        [types(*ALL_TYPES, C("x", sa.Integer, unique=True))],
        None,
    ),
    (
        "add a nullable column",
        [person, post],
        [person, table("post", *POST, C("summary", sa.String(9)))],
        None,
    ),
    (
        "add a column with a default",
        [item()],
        [item(C("n", sa.Integer, nullable=False, server_default="5"))],
        None,
    ),
    (
        "add a column with a default that is a call",
        [item()],
        [item(C("at", sa.DateTime, server_default=sa.func.current_timestamp()))],
        None,
    ),
    (
        "add a boolean with a default",
        [item()],
        [item(C("on", sa.Boolean, nullable=False, server_default=sa.false()))],
        None,
    ),
    (
        "drop a nullable column",
        [person, table("post", *POST, C("summary", sa.String(9)))],
        [person, post],
        None,
    ),
    ("drop a column that is NOT NULL", [person, post], [person, table("post", *POST[:3])], None),
    ("drop a column with an index", [item(C("a", sa.Integer, index=True))], [item()], None),
    (
        "drop a column of a table without a key",
        [table("item", name(), C("a", sa.Integer))],
        [table("item", name())],
        None,
    ),
    ("drop a column with a unique key", [item(C("a", sa.Integer, unique=True))], [item()], None),
    ("drop a column that points", [person, post], [person, table("post", pk(), *POST[2:])], None),
    (
        "add a column that points",
        [person, item()],
        [person, item(C("person_id", sa.ForeignKey("person.id")))],
        None,
    ),
    (
        "add a unique key",
        [item(C("a", sa.String(9)))],
        [item(C("a", sa.String(9), unique=True))],
        None,
    ),
    (
        "drop a unique key",
        [item(C("a", sa.String(9), unique=True))],
        [item(C("a", sa.String(9)))],
        None,
    ),
    (
        "add a unique key of two columns",
        [item(C("a", sa.Integer), C("b", sa.Date))],
        [item(C("a", sa.Integer), C("b", sa.Date), lambda: sa.UniqueConstraint("a", "b"))],
        None,
    ),
    (
        "add a unique key to a key that points",
        [person, post],
        [person, table("post", *POST, lambda: sa.UniqueConstraint("person_id"))],
        None,
    ),
    ("add an index", [item(C("a", sa.Integer))], [item(C("a", sa.Integer, index=True))], None),
    ("drop an index", [item(C("a", sa.Integer, index=True))], [item(C("a", sa.Integer))], None),
    (
        "add a unique index",
        [item(C("a", sa.String(7)), C("b", sa.Boolean))],
        [
            item(
                C("a", sa.String(7)),
                C("b", sa.Boolean),
                lambda: sa.Index("ix_ab", "a", "b", unique=True),
            )
        ],
        None,
    ),
    (
        "turn an index into a unique one",
        [item(C("a", sa.String(20), index=True))],
        [item(C("a", sa.String(20), index=True, unique=True))],
        None,
    ),
    (
        "add a foreign key",
        [person, item(C("person_id", sa.Integer))],
        [person, item(C("person_id", sa.Integer, sa.ForeignKey("person.id")))],
        None,
    ),
    (
        "add a foreign key that is NOT NULL",
        [person, item(C("person_id", sa.Integer, nullable=False))],
        [person, item(C("person_id", sa.Integer, sa.ForeignKey("person.id"), nullable=False))],
        None,
    ),
    (
        "drop a foreign key",
        [person, item(C("person_id", sa.Integer, sa.ForeignKey("person.id")))],
        [person, item(C("person_id", sa.Integer))],
        None,
    ),
    (
        "change what a foreign key does",
        [person, post],
        [
            person,
            table(
                "post",
                POST[0],
                C(
                    "person_id",
                    sa.ForeignKey("person.id", ondelete="SET NULL"),
                    nullable=True,
                    index=True,
                ),
                *POST[2:],
            ),
        ],
        None,
    ),
    (
        "point to a new table",
        [item(C("kind_id", sa.Integer))],
        [table("kind", pk()), item(C("kind_id", sa.Integer, sa.ForeignKey("kind.id")))],
        None,
    ),
    changed("make a column NOT NULL", C("a", sa.String(20)), C("a", sa.String(20), nullable=False)),
    changed("make a column nullable", C("a", sa.Date, nullable=False), C("a", sa.Date)),
    changed("widen a string", C("a", sa.String(20)), C("a", sa.String(40))),
    changed("narrow a string", C("a", sa.String(40)), C("a", sa.String(10))),
    changed(
        "narrow a unique string",
        C("a", sa.String(40), unique=True),
        C("a", sa.String(3), unique=True),
    ),
    changed("a string to a text", C("a", sa.String(40)), C("a", sa.Text)),
    changed("a text to a string", C("a", sa.Text), C("a", sa.String(40))),
    changed("an integer to a big one", C("a", sa.Integer), C("a", sa.BigInteger)),
    changed("a big integer to a small one", C("a", sa.BigInteger), C("a", sa.SmallInteger)),
    changed("more digits", C("a", sa.Numeric(8, 2)), C("a", sa.Numeric(12, 4))),
    changed("fewer digits", C("a", sa.Numeric(12, 4)), C("a", sa.Numeric(8, 2))),
    changed("an integer to a numeric", C("a", sa.Integer), C("a", sa.Numeric(12, 2))),
    changed("an integer to a string", C("a", sa.Integer), C("a", sa.String(12))),
    changed("a float to a numeric", C("a", sa.Float), C("a", sa.Numeric(12, 2))),
    changed("a default", C("a", sa.Integer), C("a", sa.Integer, server_default="7")),
    changed(
        "another default",
        C("a", sa.String(9), server_default="x"),
        C("a", sa.String(9), server_default="its"),
    ),
    changed("no default any more", C("a", sa.String(9), server_default="x"), C("a", sa.String(9))),
    changed(
        "type, default and NULL at once",
        C("a", sa.String(9)),
        C("a", sa.String(30), nullable=False, server_default="new"),
    ),
    changed(
        "an enum with one more label",
        C("a", sa.Enum("s", "m", name="size", native_enum=False)),
        C("a", sa.Enum("s", "m", "large", name="size", native_enum=False)),
    ),
    (
        "a table with a key of two columns",
        [
            table(
                "pair", C("a", sa.Integer, primary_key=True), C("b", sa.String(5), primary_key=True)
            )
        ],
        [
            table(
                "pair",
                C("a", sa.Integer, primary_key=True),
                C("b", sa.String(5), primary_key=True),
                C("c", sa.Integer, unique=True),
            )
        ],
        None,
    ),
    (
        "a key of two columns that points to one",
        [
            table(
                "pair", C("a", sa.Integer, primary_key=True), C("b", sa.String(5), primary_key=True)
            ),
            item(C("a", sa.Integer), C("b", sa.String(5))),
        ],
        [
            table(
                "pair", C("a", sa.Integer, primary_key=True), C("b", sa.String(5), primary_key=True)
            ),
            item(
                C("a", sa.Integer),
                C("b", sa.String(5)),
                lambda: sa.ForeignKeyConstraint(["a", "b"], ["pair.a", "pair.b"]),
            ),
        ],
        None,
    ),
    (
        "a table that points to itself",
        [table("node", pk(), C("parent_id", sa.ForeignKey("node.id")), C("x", sa.Integer))],
        [
            table(
                "node",
                pk(),
                C("parent_id", sa.ForeignKey("node.id", ondelete="CASCADE")),
                C("x", sa.Integer, nullable=False),
            )
        ],
        None,
    ),
    (
        "two tables that point to each other",
        [
            table("a", pk(), C("b_id", sa.Integer)),
            table("b", pk(), C("a_id", sa.ForeignKey("a.id"))),
        ],
        [
            table("a", pk(), C("b_id", sa.Integer, unique=True)),
            table("b", pk(), C("a_id", sa.ForeignKey("a.id"), nullable=False)),
        ],
        None,
    ),
    (
        "many to many",
        [person, item()],
        [
            person,
            item(),
            table(
                "person_item",
                C("person_id", sa.ForeignKey("person.id"), primary_key=True),
                C("item_id", sa.ForeignKey("item.id"), primary_key=True),
            ),
        ],
        None,
    ),
    (
        "a column more for many to many",
        [
            person,
            item(),
            table(
                "person_item",
                C("person_id", sa.ForeignKey("person.id"), primary_key=True),
                C("item_id", sa.ForeignKey("item.id"), primary_key=True),
            ),
        ],
        [
            person,
            item(),
            table(
                "person_item",
                C("person_id", sa.ForeignKey("person.id"), primary_key=True),
                C("item_id", sa.ForeignKey("item.id"), primary_key=True),
                C("since", sa.Date),
            ),
        ],
        None,
    ),
    (
        "a table under another",
        [person, table("admin", C("id", sa.ForeignKey("person.id"), primary_key=True))],
        [
            person,
            table(
                "admin",
                C("id", sa.ForeignKey("person.id"), primary_key=True),
                C("level", sa.Integer, server_default="1", nullable=False),
            ),
        ],
        None,
    ),
    (
        "a table without a key",
        [table("log", C("line", sa.String(50)), C("n", sa.Integer))],
        [table("log", C("line", sa.String(90)), C("n", sa.Integer), C("m", sa.Integer))],
        None,
    ),
    (
        "a table with checks",
        [item(C("age", sa.Integer), lambda: sa.CheckConstraint("age > 17", name="adult"))],
        [
            item(
                C("age", sa.Integer, nullable=False),
                lambda: sa.CheckConstraint("age > 17", name="adult"),
            )
        ],
        None,
    ),
    (
        "odd names",
        [table("Order Line", pk(), C("group", sa.Integer), C("Per Cent", sa.Integer))],
        [
            table(
                "Order Line",
                pk(),
                C("group", sa.Integer, unique=True),
                C("Per Cent", sa.Integer, nullable=False),
            )
        ],
        None,
    ),
]


def by_hand(name, before, after, upgrade, downgrade, **more):
    return (name, before, after, {"upgrade": upgrade, "downgrade": downgrade, **more})


A = C("a", sa.String(40))
N = C("n", sa.Integer)
BY_HAND = [
    by_hand(
        "rename a column",
        [item(A)],
        [item(C("b", sa.String(40)))],
        "op.alter_column('item', 'a', new_column_name='b', existing_type=sa.String(40))",
        "op.alter_column('item', 'b', new_column_name='a', existing_type=sa.String(40))",
    ),
    by_hand(
        "rename a column in a batch",
        [item(A, N)],
        [item(C("b", sa.String(40)), N)],
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('a', new_column_name='b', existing_type=sa.String(40))
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('b', new_column_name='a', existing_type=sa.String(40))
            """,
    ),
    by_hand(
        "rename a column and change it",
        [item(A)],
        [item(C("b", sa.String(60), nullable=False))],
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('a', new_column_name='b', existing_type=sa.String(40),
                                   type_=sa.String(60), nullable=False)
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('b', new_column_name='a', existing_type=sa.String(60),
                                   type_=sa.String(40), nullable=True)
            """,
    ),
    by_hand(
        "swap two columns",
        [item(C("a", sa.Integer), C("b", sa.Integer))],
        [item(C("a", sa.Integer), C("b", sa.Integer))],
        *(
            [
                """
            op.alter_column('item', 'a', new_column_name='c', existing_type=sa.Integer())
            op.alter_column('item', 'b', new_column_name='a', existing_type=sa.Integer())
            op.alter_column('item', 'c', new_column_name='b', existing_type=sa.Integer())
            """
            ]
            * 2
        ),
    ),
    by_hand(
        "rename a table",
        [person, post],
        [
            table("account", *PERSON[:2], C("email", sa.String(255), nullable=False)),
            table(
                "post",
                POST[0],
                C(
                    "person_id",
                    sa.ForeignKey(
                        "account.id", ondelete="CASCADE", name="fk_post_person_id_person"
                    ),
                    nullable=False,
                    index=True,
                ),
                *POST[2:],
            ),
        ],
        """
            with op.batch_alter_table('person') as batch:
                batch.drop_constraint('uq_person_email', type_='unique')
            op.rename_table('person', 'account')
            """,
        """
            op.rename_table('account', 'person')
            with op.batch_alter_table('person') as batch:
                batch.create_unique_constraint('uq_person_email', ['email'])
            """,
    ),
    by_hand(
        "rename in SQL",
        [item(A)],
        [table("thing", pk(), C("b", sa.String(40)))],
        """
            op.execute('ALTER TABLE item RENAME TO thing')
            op.execute('ALTER TABLE thing RENAME COLUMN a TO b')
            """,
        """
            op.execute('ALTER TABLE thing RENAME COLUMN b TO a')
            op.execute('ALTER TABLE thing RENAME TO item')
            """,
    ),
    by_hand(
        "fill a new column",
        [item(A)],
        [item(A, C("slug", sa.String(50), nullable=False))],
        """
            op.add_column('item', sa.Column('slug', sa.String(50), nullable=True))
            op.execute("UPDATE item SET slug = 'none'")
            with op.batch_alter_table('item') as batch:
                batch.alter_column('slug', existing_type=sa.String(50), nullable=False)
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_column('slug')
            """,
    ),
    by_hand(
        "fill an old column",
        [item(A)],
        [item(C("a", sa.String(40), nullable=False))],
        """
            op.execute("UPDATE item SET a = 'none' WHERE a IS NULL")
            with op.batch_alter_table('item') as batch:
                batch.alter_column('a', existing_type=sa.String(40), nullable=False)
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('a', existing_type=sa.String(40), nullable=True)
            """,
    ),
    by_hand(
        "lower all addresses",
        [person],
        [person],
        "op.execute('UPDATE person SET email = lower(email)')",
        "pass",
    ),
    by_hand(
        "a data migration row by row",
        [item(A)],
        [item(A)],
        """
            item = sa.table('item', sa.column('id', sa.Integer), sa.column('a', sa.String))
            bind = op.get_bind()
            for row in bind.execute(sa.select(item)).all():
                bind.execute(item.update().where(item.c.id == row.id)
                             .values(a=(row.a or '').strip().upper()))
            """,
        "pass",
    ),
    by_hand(
        "split a name",
        [person],
        [table("person", pk(), PERSON[2], C("first", sa.String(80)), C("last", sa.String(80)))],
        """
            with op.batch_alter_table('person') as batch:
                batch.add_column(sa.Column('first', sa.String(80)))
                batch.add_column(sa.Column('last', sa.String(80)))
            person = sa.table('person', *map(sa.column, ('id', 'name', 'first', 'last')))
            bind = op.get_bind()
            for row in bind.execute(sa.select(person)).all():
                first, _, last = row.name.partition(' ')
                bind.execute(person.update().where(person.c.id == row.id).values(first=first, last=last))
            with op.batch_alter_table('person') as batch:
                batch.drop_column('name')
            """,
        """
            with op.batch_alter_table('person') as batch:
                batch.add_column(sa.Column('name', sa.String(80)))
            bind = op.get_bind()
            person = sa.table('person', *map(sa.column, ('id', 'name', 'first', 'last')))
            for row in bind.execute(sa.select(person)).all():
                name = f'{row.first} {row.last}'.strip()
                bind.execute(person.update().where(person.c.id == row.id).values(name=name))
            with op.batch_alter_table('person') as batch:
                batch.alter_column('name', existing_type=sa.String(80), nullable=False)
                batch.drop_column('first')
                batch.drop_column('last')
            """,
    ),
    by_hand(
        "move a column to a table of its own",
        [table("person", *PERSON, C("bio", sa.Text))],
        [
            person,
            table(
                "profile",
                C("person_id", sa.ForeignKey("person.id"), primary_key=True),
                C("bio", sa.Text),
            ),
        ],
        """
            op.create_table('profile', sa.Column('person_id', sa.Integer(), nullable=False),
                            sa.Column('bio', sa.Text()),
                            sa.PrimaryKeyConstraint('person_id', name='pk_profile'),
                            sa.ForeignKeyConstraint(['person_id'], ['person.id'],
                                                    name='fk_profile_person_id_person'))
            op.execute('INSERT INTO profile (person_id, bio) SELECT id, bio FROM person')
            with op.batch_alter_table('person') as batch:
                batch.drop_column('bio')
            """,
        """
            with op.batch_alter_table('person') as batch:
                batch.add_column(sa.Column('bio', sa.Text()))
            op.execute('UPDATE person SET bio = (SELECT bio FROM profile WHERE person_id = person.id)')
            op.drop_table('profile')
            """,
    ),
    by_hand(
        "a text becomes a number through another column",
        [item(A)],
        [item(C("a", sa.Integer))],
        """
            op.add_column('item', sa.Column('a_new', sa.Integer()))
            op.execute('UPDATE item SET a_new = CAST(a AS INTEGER)')
            with op.batch_alter_table('item') as batch:
                batch.drop_column('a')
            op.alter_column('item', 'a_new', new_column_name='a', existing_type=sa.Integer())
            """,
        """
            op.add_column('item', sa.Column('a_old', sa.String(40)))
            op.execute('UPDATE item SET a_old = CAST(a AS VARCHAR(40))')
            with op.batch_alter_table('item') as batch:
                batch.drop_column('a')
            op.alter_column('item', 'a_old', new_column_name='a', existing_type=sa.String(40))
            """,
    ),
    by_hand(
        "delete rows that are too old",
        [item(C("day", sa.Date))],
        [item(C("day", sa.Date))],
        "op.execute(\"DELETE FROM item WHERE day < '1950-01-01'\")",
        "pass",
    ),
    by_hand(
        "delete orphans before a foreign key",
        [person, item(C("person_id", sa.Integer))],
        [person, item(C("person_id", sa.Integer, sa.ForeignKey("person.id")))],
        """
            op.execute('DELETE FROM item WHERE person_id NOT IN (SELECT id FROM person)')
            with op.batch_alter_table('item') as batch:
                batch.create_foreign_key('fk_item_person_id_person', 'person', ['person_id'], ['id'])
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_constraint('fk_item_person_id_person', type_='foreignkey')
            """,
    ),
    by_hand(
        "insert what is always there",
        [item(A)],
        [item(A)],
        "op.bulk_insert(sa.table('item', sa.column('a')), [{'a': 'admin'}, {'a': 'editor'}])",
        "op.execute(\"DELETE FROM item WHERE a IN ('admin', 'editor')\")",
    ),
    by_hand(
        "add a check",
        [item(C("age", sa.Integer))],
        [
            item(
                C("age", sa.Integer),
                lambda: sa.CheckConstraint("age >= 18 AND age < 130", name="adult"),
            )
        ],
        """
            with op.batch_alter_table('item') as batch:
                batch.create_check_constraint(op.f('ck_item_adult'), 'age >= 18 AND age < 130')
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_constraint(op.f('ck_item_adult'), type_='check')
            """,
    ),
    by_hand(
        "add a check of two columns",
        [item(C("first", sa.Date), C("last", sa.Date))],
        [
            item(
                C("first", sa.Date),
                C("last", sa.Date),
                lambda: sa.CheckConstraint("first < last", name=conv("ck_item_order")),
            )
        ],
        """
            with op.batch_alter_table('item') as batch:
                batch.create_check_constraint(op.f('ck_item_order'), 'first < last')
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_constraint(op.f('ck_item_order'), type_='check')
            """,
    ),
    by_hand(
        "a check of a code",
        [item(C("code", sa.String(9), nullable=False))],
        [
            item(
                C("code", sa.String(9), nullable=False),
                lambda: sa.CheckConstraint(
                    "length(code) = 3 AND code = upper(code)", name=conv("ck_item_code")
                ),
            )
        ],
        """
            with op.batch_alter_table('item') as batch:
                batch.create_check_constraint(op.f('ck_item_code'), 'length(code) = 3 AND code = upper(code)')
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_constraint(op.f('ck_item_code'), type_='check')
            """,
    ),
    by_hand(
        "irreversible",
        [item(A, N)],
        [item(A)],
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_column('n')
            """,
        """
            # irreversible because the numbers are nobody's business any more
            raise NotImplementedError
            """,
    ),
    by_hand(
        "rows of its own",
        [item(C("code", sa.String(40)))],
        [item(C("code", sa.String(40)))],
        """
            bind = op.get_bind()
            for code, in bind.execute(sa.text('SELECT code FROM item')).all():
                country, number = code.split('-')
                int(number)
            """,
        "pass",
        rest="""
            def sample_rows(connection):
                connection.execute(sa.text("INSERT INTO item (id, code) VALUES (1, 'DE-17')"))
            """,
    ),
    by_hand(
        "it says what changes",
        [item(C("price", sa.Integer, nullable=False))],
        [item(C("price", sa.Integer, nullable=False))],
        """
            # proof: item because the cheap ones are thrown out
            op.execute('DELETE FROM item')
            """,
        "pass",
    ),
    by_hand("nothing at all", [item(A)], [item(A)], "pass", "pass"),
    by_hand(
        "a view",
        [item(A)],
        [item(A)],
        "op.execute('CREATE VIEW long_ones AS SELECT * FROM item WHERE length(a) > 9')",
        "op.execute('DROP VIEW long_ones')",
    ),
    by_hand(
        "a column of a table with a view",
        [item(A), table("other", pk(), N)],
        [item(A), table("other", pk(), N, C("m", sa.Integer))],
        "op.add_column('other', sa.Column('m', sa.Integer()))",
        """
            with op.batch_alter_table('other') as batch:
                batch.drop_column('m')
            """,
    ),
]

ON_SQLITE = [
    by_hand(
        "a rebuild by hand",
        [item(A, C("n", sa.Integer))],
        [item(A, C("n", sa.Integer, nullable=False))],
        """
            op.execute('CREATE TABLE item_new (id INTEGER NOT NULL, a VARCHAR(40), n INTEGER NOT NULL, '
                       'CONSTRAINT pk_item PRIMARY KEY (id))')
            op.execute('INSERT INTO item_new SELECT id, a, n FROM item')
            op.execute('DROP TABLE item')
            op.execute('ALTER TABLE item_new RENAME TO item')
            """,
        """
            op.execute('CREATE TABLE item_new (id INTEGER NOT NULL, a VARCHAR(40), n INTEGER, '
                       'CONSTRAINT pk_item PRIMARY KEY (id))')
            op.execute('INSERT INTO item_new SELECT id, a, n FROM item')
            op.execute('DROP TABLE item')
            op.execute('ALTER TABLE item_new RENAME TO item')
            """,
    ),
    by_hand(
        "a partial index",
        [item(A, C("on", sa.Boolean))],
        [
            item(
                A,
                C("on", sa.Boolean),
                lambda: sa.Index("ix_on", "a", unique=True, sqlite_where=sa.text('"on" = 1')),
            )
        ],
        "op.create_index('ix_on', 'item', ['a'], unique=True, sqlite_where=sa.text('\"on\" = 1'))",
        "op.drop_index('ix_on', 'item')",
    ),
    by_hand(
        "an index of an expression",
        [item(A)],
        [item(A, lambda: sa.Index("ix_lower", sa.text("lower(a)"), unique=True))],
        "op.create_index('ix_lower', 'item', [sa.text('lower(a)')], unique=True)",
        "op.drop_index('ix_lower', 'item')",
    ),
    by_hand(
        "a trigger that stays",
        [item(A)],
        [item(A, N)],
        """
            op.execute("CREATE TRIGGER tidy AFTER INSERT ON item BEGIN "
                       "UPDATE item SET a = trim(a) WHERE id = new.id; END")
            op.add_column('item', sa.Column('n', sa.Integer()))
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.drop_column('n')
            op.execute('DROP TRIGGER tidy')
            """,
    ),
    by_hand(
        "a boolean with a check",
        [item(C("on", sa.Boolean(create_constraint=True, name="on")))],
        [item(C("on", sa.Boolean(create_constraint=True, name="on"), nullable=False))],
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('on', existing_type=sa.Boolean(), nullable=False)
            """,
        """
            with op.batch_alter_table('item') as batch:
                batch.alter_column('on', existing_type=sa.Boolean(), nullable=True)
            """,
    ),
]
