"""Migrations that are wrong, each in its own way: the proof names the step and the difference.

Each is (name, models before, models after, hand-written parts, the step, words of the difference).
"""

import sqlalchemy as sa

from .good import PERSON, POST, A, C, N, item, person, pk, post, table

WITH_M = item(A, C("m", sa.Integer))
ADD_M = "op.add_column('item', sa.Column('m', sa.Integer()))"
DROP_M = """
with op.batch_alter_table('item') as batch:
    batch.drop_column('m')
"""


def broken(name, before, after, upgrade, downgrade, step, *words, **more):
    parts = {"upgrade": upgrade, "downgrade": downgrade, **more}
    return (name, before, after, parts, step, words)


BROKEN = [
    broken(
        "the downgrade does nothing",
        [item(A)],
        [WITH_M],
        ADD_M,
        "pass",
        "downgrade",
        "does nothing",
        "irreversible because",
    ),
    broken(
        "the downgrade forgets a column",
        [item(A)],
        [item(A, N, C("m", sa.Integer))],
        ADD_M + "\nop.add_column('item', sa.Column('n', sa.Integer()))",
        DROP_M,
        "downgrade",
        "item.n was left behind",
    ),
    broken(
        "the downgrade forgets a table",
        [item(A)],
        [item(A), table("kind", pk()), table("sort", pk())],
        """
           op.create_table('kind', sa.Column('id', sa.Integer(), primary_key=True))
           op.create_table('sort', sa.Column('id', sa.Integer(), primary_key=True))
           """,
        "op.drop_table('kind')",
        "downgrade",
        "the table sort was left behind",
    ),
    broken(
        "the downgrade forgets an index",
        [item(C("a", sa.String(40), index=True))],
        [item(A)],
        "op.drop_index('ix_item_a', 'item')",
        "op.get_bind()",
        "downgrade",
        "index ix_item_a of item is missing",
    ),
    broken(
        "the downgrade leaves an index",
        [item(A)],
        [item(C("a", sa.String(40), index=True), C("m", sa.Integer))],
        ADD_M + "\nop.create_index('ix_item_a', 'item', ['a'])",
        DROP_M,
        "downgrade",
        "index ix_item_a of item was left behind",
    ),
    broken(
        "the downgrade makes an index that is not unique",
        [item(C("a", sa.String(40), index=True, unique=True))],
        [item(A)],
        "op.drop_index('ix_item_a', 'item')",
        "op.create_index('ix_item_a', 'item', ['a'])",
        "downgrade",
        "index ix_item_a of item is",
    ),
    broken(
        "the downgrade forgets a unique key",
        [item(C("a", sa.String(40), unique=True))],
        [WITH_M],
        ADD_M
        + """
with op.batch_alter_table('item') as batch:
    batch.drop_constraint('uq_item_a', type_='unique')
""",
        DROP_M,
        "downgrade",
        "unique (a)",
        "uq_item_a",
        "missing",
    ),
    broken(
        "the downgrade calls a unique key otherwise",
        [item(C("a", sa.String(40), unique=True))],
        [item(A)],
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_constraint('uq_item_a', type_='unique')
           """,
        """
           with op.batch_alter_table('item') as batch:
               batch.create_unique_constraint('uq_other', ['a'])
           """,
        "downgrade",
        "is called uq_other, and was uq_item_a",
    ),
    broken(
        "the downgrade forgets a foreign key",
        [person, item(C("person_id", sa.ForeignKey("person.id")))],
        [person, item(C("person_id", sa.Integer), C("m", sa.Integer))],
        ADD_M
        + """
with op.batch_alter_table('item') as batch:
    batch.drop_constraint('fk_item_person_id_person', type_='foreignkey')
""",
        DROP_M,
        "downgrade",
        "foreign key (person_id) to person",
        "missing",
    ),
    broken(
        "the downgrade forgets what a foreign key does",
        [person, post],
        [
            person,
            table(
                "post",
                POST[0],
                C("person_id", sa.ForeignKey("person.id"), nullable=False, index=True),
                *POST[2:],
            ),
        ],
        *(
            [
                """
           with op.batch_alter_table('post') as batch:
               batch.drop_constraint('fk_post_person_id_person', type_='foreignkey')
               batch.create_foreign_key('fk_post_person_id_person', 'person', ['person_id'], ['id'])
           """
            ]
            * 2
        ),
        "downgrade",
        "foreign key (person_id) to person",
        "cascade",
    ),
    broken(
        "the downgrade forgets a check",
        [item(C("age", sa.Integer), lambda: sa.CheckConstraint("age > 17", name="adult"))],
        [item(C("age", sa.Integer), C("m", sa.Integer))],
        ADD_M
        + """
with op.batch_alter_table('item') as batch:
    batch.drop_constraint(op.f('ck_item_adult'), type_='check')
""",
        DROP_M,
        "downgrade",
        "check (age > 17)",
        "missing",
    ),
    broken(
        "the downgrade forgets a default",
        [item(C("a", sa.String(40), server_default="x"))],
        [item(A)],
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('a', existing_type=sa.String(40), server_default=None)
           """,
        "op.get_bind()",
        "downgrade",
        "item.a has no default, and had the default 'x'",
    ),
    broken(
        "the downgrade forgets NOT NULL",
        [item(C("a", sa.String(40), nullable=False))],
        [item(A)],
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('a', existing_type=sa.String(40), nullable=True)
           """,
        "op.get_bind()",
        "downgrade",
        "item.a may be NULL",
    ),
    broken(
        "the downgrade forgets a type",
        [item(A)],
        [item(C("a", sa.String(60)))],
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('a', existing_type=sa.String(40), type_=sa.String(60))
           """,
        "op.get_bind()",
        "downgrade",
        "item.a is VARCHAR(60), and was VARCHAR(40)",
    ),
    broken(
        "the downgrade raises",
        [item(A)],
        [WITH_M],
        ADD_M,
        DROP_M + "\nraise NotImplementedError('no way')",
        "downgrade",
        "NotImplementedError",
        "no way",
    ),
    broken(
        "the downgrade drops what is not there",
        [item(A)],
        [WITH_M],
        ADD_M,
        DROP_M.replace("'m'", "'mm'"),
        "downgrade",
        "mm",
    ),
    broken(
        "the downgrade drops a parent and its child's rows",
        [person, post],
        [table("person", *PERSON, N), post],
        "op.add_column('person', sa.Column('n', sa.Integer()))",
        """
           with op.batch_alter_table('person') as batch:
               batch.drop_column('n')
           op.execute('DELETE FROM post')
           """,
        "downgrade",
        "every row of post is deleted",
    ),
    broken(
        "the downgrade drops what the upgrade renamed",
        [item(A)],
        [item(C("b", sa.String(40)))],
        "op.alter_column('item', 'a', new_column_name='b', existing_type=sa.String(40))",
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_column('b')
               batch.add_column(sa.Column('a', sa.String(40)))
           """,
        "downgrade",
        "item.a held 'plain text' and now holds NULL",
    ),
    broken(
        "the upgrade drops what the downgrade renames",
        [item(A)],
        [item(C("b", sa.String(40)))],
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_column('a')
               batch.add_column(sa.Column('b', sa.String(40)))
           """,
        "op.alter_column('item', 'b', new_column_name='a', existing_type=sa.String(40))",
        "upgrade",
        "item.a is dropped and item.b is new",
        "renames",
    ),
    broken(
        "the upgrade drops and makes a column again",
        [item(A)],
        [item(C("a", sa.String(60)))],
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_column('a')
           op.add_column('item', sa.Column('a', sa.String(60)))
           """,
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('a', existing_type=sa.String(60), type_=sa.String(40))
           """,
        "upgrade",
        "item.a held 'plain text' and now holds NULL",
    ),
    broken(
        "the upgrade drops and makes a table again",
        [item(A)],
        [WITH_M],
        """
           op.drop_table('item')
           op.create_table('item', sa.Column('id', sa.Integer()), sa.Column('a', sa.String(40)),
                           sa.Column('m', sa.Integer()), sa.PrimaryKeyConstraint('id', name='pk_item'))
           """,
        DROP_M,
        "upgrade",
        "6 of 6 rows of item are gone",
    ),
    broken(
        "the upgrade deletes everything",
        [item(A)],
        [item(A)],
        "op.execute('DELETE FROM item')",
        "pass",
        "upgrade",
        "every row of item is deleted by DELETE FROM item",
    ),
    broken(
        "the upgrade deletes through a key",
        [person, post],
        [person, post],
        "op.execute('DELETE FROM person')",
        "pass",
        "upgrade",
        "person",
    ),
    broken(
        "the upgrade cuts values off",
        [item(A)],
        [item(A)],
        "op.execute('UPDATE item SET a = substr(a, 1, 3)')",
        "pass",
        "upgrade",
        "item.a is cut off: 'plain text' becomes 'pla'",
    ),
    broken(
        "a rebuild by hand forgets rows",
        [item(A)],
        [item(A)],
        """
           op.execute('CREATE TABLE n (id INTEGER NOT NULL, a VARCHAR(40), '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute('INSERT INTO n SELECT id, a FROM item WHERE a IS NOT NULL')
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE n RENAME TO item')
           """,
        "pass",
        "upgrade",
        "1 of 6 rows of item are gone",
    ),
    broken(
        "a rebuild by hand cuts values off",
        [item(A)],
        [item(A)],
        """
           op.execute('CREATE TABLE n (id INTEGER NOT NULL, a VARCHAR(40), '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute('INSERT INTO n SELECT id, substr(a, 1, 5) FROM item')
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE n RENAME TO item')
           """,
        "pass",
        "upgrade",
        "item.a held 'plain text' and now holds 'plain'",
    ),
    broken(
        "a rebuild by hand swaps columns",
        [item(N, C("m", sa.Integer))],
        [item(N, C("m", sa.Integer))],
        """
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, n INTEGER, m INTEGER, '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute('INSERT INTO x SELECT id, m, n FROM item')
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "pass",
        "upgrade",
        "item.n held",
    ),
    broken(
        "a rebuild by hand forgets a trigger",
        [item(A)],
        [item(A)],
        """
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, a VARCHAR(40), '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute('INSERT INTO x SELECT id, a FROM item')
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "op.get_bind()",
        "downgrade",
        "the trigger tidy of item is missing",
        first="""
           op.execute("CREATE TRIGGER tidy AFTER INSERT ON item BEGIN "
                      "UPDATE item SET a = trim(a) WHERE id = new.id; END")
           """,
    ),
    broken(
        "a rebuild by hand with keys on",
        [person, post],
        [person, post],
        """
           raw = op.get_bind().connection.driver_connection
           raw.execute('COMMIT')
           raw.execute('PRAGMA foreign_keys=ON')
           raw.execute('BEGIN')
           op.execute('CREATE TABLE u (id INTEGER NOT NULL, name VARCHAR(80) NOT NULL, '
                      'email VARCHAR(255) NOT NULL, CONSTRAINT pk_person PRIMARY KEY (id), '
                      'CONSTRAINT uq_person_email UNIQUE (email))')
           op.execute('INSERT INTO u SELECT * FROM person')
           op.execute('DROP TABLE "person"')
           op.execute('ALTER TABLE u RENAME TO "person"')
           """,
        "pass",
        "upgrade",
        "would end the one transaction",
    ),
    broken(
        "rows that point to nothing",
        [person, post],
        [person, post],
        "op.execute('DELETE FROM person WHERE id = (SELECT min(person_id) FROM post)')",
        "pass",
        "upgrade",
        "rows of post point to no row of person",
    ),
    broken(
        "no value for a new NOT NULL",
        [item(A)],
        [item(A, C("slug", sa.String(9), nullable=False))],
        "op.add_column('item', sa.Column('slug', sa.String(9), nullable=False))",
        DROP_M.replace("'m'", "'slug'"),
        "upgrade",
        "slug",
    ),
    broken(
        "one default for a unique key",
        [item(A)],
        [item(A, C("slug", sa.String(9), nullable=False, unique=True, server_default="x"))],
        """
           with op.batch_alter_table('item') as batch:
               batch.add_column(sa.Column('slug', sa.String(9), nullable=False, server_default='x'))
               batch.create_unique_constraint('uq_item_slug', ['slug'])
           """,
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_constraint('uq_item_slug', type_='unique')
               batch.drop_column('slug')
           """,
        "upgrade",
        "slug",
    ),
    broken(
        "the models have more",
        [item(A)],
        [item(A, N, C("m", sa.Integer))],
        ADD_M,
        DROP_M,
        "models",
        "add n to item",
    ),
    broken(
        "the models have a shorter string",
        [item(A)],
        [item(C("a", sa.String(20)), C("m", sa.Integer))],
        ADD_M,
        DROP_M,
        "models",
        "item.a",
    ),
    broken(
        "the models have a unique key",
        [item(A)],
        [item(C("a", sa.String(40), unique=True), C("m", sa.Integer))],
        ADD_M,
        DROP_M,
        "models",
        "make unique item.a",
    ),
    broken(
        "the models have another table",
        [item(A)],
        [WITH_M, table("kind", pk())],
        ADD_M,
        DROP_M,
        "models",
        "create kind",
    ),
    broken(
        "it does not run",
        [item(A)],
        [WITH_M],
        "op.add_colum('item')",
        "pass",
        "upgrade",
        "line 14",
        "add_colum",
    ),
    broken(
        "it runs once only",
        [item(A)],
        [WITH_M],
        ADD_M + "\nop.execute(\"INSERT INTO item (id, a) VALUES (77, 'x')\")",
        DROP_M,
        "upgrade again",
        "UNIQUE",
    ),
    broken(
        "its sample rows do not go in",
        [item(A)],
        [WITH_M],
        ADD_M,
        DROP_M,
        "sample_rows",
        "nothing",
        rest="""
           def sample_rows(connection):
               connection.execute(sa.text("INSERT INTO nothing VALUES (1)"))
           """,
    ),
    broken(
        "autogenerate forgets the check of a dropped enum",
        [
            item(
                A,
                C(
                    "size",
                    sa.Enum("s", "m", name="size", native_enum=False, create_constraint=True),
                ),
            )
        ],
        [item(A)],
        None,
        None,
        "downgrade",
        "the check (size in ( 's' , 'm' ))",
        "missing",
    ),
    broken(
        "a USING is not all that changes",
        [item(A, N)],
        [item(A, N)],
        """
           op.execute("UPDATE item SET a = 'x' || a")
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, a VARCHAR(40), n INTEGER, '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute('INSERT INTO x SELECT id, a, n + 1 FROM item')
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "pass",
        "upgrade",
        "item.n held",
    ),
    broken(
        "JSON loses what it held",
        [item(C("data", sa.JSON))],
        [item(C("data", sa.JSON))],
        """
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, data JSON, '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute("INSERT INTO x SELECT id, json_remove(data, '$.a') FROM item")
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "pass",
        "upgrade",
        "item.data held",
    ),
    broken(
        "a list is taken for an object",
        [item(C("data", sa.JSON, nullable=False, server_default="[]"))],
        [item(C("data", sa.JSON, nullable=False, server_default="[]"))],
        """
           t = sa.table('item', sa.column('data', sa.JSON))
           for data, in op.get_bind().execute(sa.select(t.c.data)).all():
               data['version'] = 1
           """,
        "pass",
        "upgrade",
        "line 16",
    ),
    broken(
        "NULL is forgotten",
        [item(C("email", sa.String(80)))],
        [item(C("email", sa.String(80)))],
        """
           for email, in op.get_bind().execute(sa.text('SELECT email FROM item')).all():
               email.split('@')
           """,
        "pass",
        "upgrade",
        "AttributeError",
    ),
    broken(
        "its rows take the numbers that rows have",
        [item(A)],
        [item(A)],
        """
           high, = op.get_bind().execute(sa.text('SELECT max(id) FROM item')).one()
           if high:
               op.execute(f"INSERT INTO item (id, a) VALUES ({high}, 'admin')")
           """,
        "pass",
        "upgrade",
        "UNIQUE",
    ),
    broken(
        "its rows have names that rows have",
        [item(C("a", sa.String(40), unique=True)), table("other", pk(), C("a", sa.String(40)))],
        [item(C("a", sa.String(40), unique=True)), table("other", pk(), C("a", sa.String(40)))],
        """
           op.bulk_insert(sa.table('item', sa.column('a')), [{'a': 'admin'}, {'a': 'admin'}])
           """,
        "pass",
        "upgrade",
        "UNIQUE",
    ),
    broken(
        "a text becomes a Boolean, and the other one",
        [item(C("a", sa.String(20)))],
        [item(C("a", sa.Boolean))],
        """
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, a BOOLEAN, '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute("INSERT INTO x SELECT id, NOT a FROM item")
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "pass  # irreversible because it is told by its rows",
        "upgrade",
        "item.a held",
    ),
    broken(
        "a type comes back with other values",
        [item(C("at", sa.DateTime))],
        [item(C("at", sa.String(40)))],
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('at', existing_type=sa.DateTime(), type_=sa.String(40))
           """,
        """
           with op.batch_alter_table('item') as batch:
               batch.alter_column('at', existing_type=sa.String(40), type_=sa.DateTime())
           op.execute('CREATE TABLE x (id INTEGER NOT NULL, at DATETIME, '
                      'CONSTRAINT pk_item PRIMARY KEY (id))')
           op.execute("INSERT INTO x SELECT id, datetime(at, '+1 second') FROM item")
           op.execute('DROP TABLE item')
           op.execute('ALTER TABLE x RENAME TO item')
           """,
        "downgrade",
        "item.at held",
    ),
    broken(
        "the downgrade does something and raises",
        [item(A)],
        [WITH_M],
        ADD_M,
        "op.get_bind()\nraise NotImplementedError",
        "downgrade",
        "NotImplementedError",
    ),
    broken(
        "the downgrade drops what has no name",
        [person, item(C("person_id", sa.Integer))],
        [person, item(C("person_id", sa.ForeignKey("person.id")))],
        """
           with op.batch_alter_table('item') as batch:
               batch.create_foreign_key(None, 'person', ['person_id'], ['id'])
           """,
        """
           with op.batch_alter_table('item') as batch:
               batch.drop_constraint(None, type_='foreignkey')
           """,
        "downgrade",
        "line 20: it drops a constraint without a name (None)",
        "write the name that it has in the database",
    ),
]
