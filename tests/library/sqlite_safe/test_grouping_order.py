"""Indexes and constraints are dropped before the columns that they need."""

import sqlite3

import pytest
import sqlalchemy.exc

from .migrating import Database, body, migration, safe

INDEXED = """CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c INTEGER);
CREATE INDEX ix_t_a ON t (a);
CREATE UNIQUE INDEX ix_t_b ON t (b);"""
expressions = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
REST = "CREATE TABLE t (id INTEGER PRIMARY KEY, c INTEGER);"


def test_an_index_is_dropped_before_its_column(up_and_down):
    text = up_and_down(
        migration(
            """
            op.drop_column('t', 'a')
            op.drop_column('t', 'b')
            op.drop_index('ix_t_b', table_name='t')
            op.drop_index('ix_t_a', 't')
            """,
            """
            op.add_column('t', sa.Column('a', sa.Text()))
            op.add_column('t', sa.Column('b', sa.Text()))
            op.create_index('ix_t_a', 't', ['a'])
            op.create_index('ix_t_b', 't', ['b'], unique=True)
            """,
        ),
        before=INDEXED,
        after=REST,
        moved=True,
    )
    assert body(text) == (
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.drop_index('ix_t_a')\n"
        "    batch_op.drop_column('a')\n"
        "    batch_op.drop_index('ix_t_b')\n"
        "    batch_op.drop_column('b')"
    )


def test_in_the_order_of_the_file_it_would_fail(tmp_path):
    database = Database(tmp_path, INDEXED)
    source = migration(
        """
        with op.batch_alter_table('t') as batch_op:
            batch_op.drop_column('a')
        op.drop_index('ix_t_a', 't')
        """
    )
    with pytest.raises((sqlite3.OperationalError, sqlalchemy.exc.SQLAlchemyError, KeyError)):
        database.upgrade(source)


def test_a_constraint_is_dropped_before_its_column():
    source = migration(
        """
        op.drop_column('t', 'a')
        op.drop_constraint('fk_t_a', 't', type_='foreignkey')
        op.drop_constraint('pk_t', 't', type_='primary')
        """
    )
    assert body(safe(source)) == (
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.drop_constraint('fk_t_a', type_='foreignkey')\n"
        "    batch_op.drop_column('a')\n"
        "    batch_op.drop_constraint('pk_t', type_='primary')"
    )


def test_no_blank_line_is_moved_to_the_head_of_a_batch():
    source = migration("# one\nop.drop_column('t', 'a')\n\n# two\nop.drop_index('ix_t_a', 't')")
    assert body(safe(source)) == (
        "# one\n"
        "with op.batch_alter_table('t') as batch_op:\n"
        "    # two\n"
        "    batch_op.drop_index('ix_t_a')\n"
        "    batch_op.drop_column('a')"
    )


def test_an_index_of_another_column_stays_where_it_is():
    source = migration(
        "op.drop_column('t', 'a')\nop.drop_index('ix_t_b', 't')",
        "op.create_index('ix_t_b', 't', ['b'])\nop.add_column('t', sa.Column('a', sa.Text()))",
    )
    assert body(safe(source)) == (
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.drop_column('a')\n"
        "op.drop_index('ix_t_b', 't')"
    )


def test_an_index_that_is_dropped_without_its_table_is_found(up_and_down):
    up_and_down(
        migration(
            "op.drop_column('t', 'a')\nop.drop_index('ix_t_a')\nop.drop_index('ix_t_b')",
            "op.add_column('t', sa.Column('a', sa.Text()))\nop.create_index('ix_t_a', 't', ['a'])"
            "\nop.create_index('ix_t_b', 't', ['b'], unique=True)",
        ),
        before=INDEXED,
        after="CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT, c INTEGER)",
        moved=True,
    )


@expressions
def test_an_index_that_a_batch_cannot_drop_is_dropped_plainly_before_it(up_and_down):
    text = up_and_down(
        migration(
            """
            op.drop_column('t', 'a')
            op.drop_index('ix_lower', 't')
            """,
            """
            op.add_column('t', sa.Column('a', sa.Text()))
            op.create_index('ix_lower', 't', [sa.text('lower(a)')])
            """,
        ),
        before="CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, c INTEGER);"
        "CREATE INDEX ix_lower ON t (lower(a));",
        after=REST,
        moved=True,
    )
    assert body(text).startswith("op.drop_index('ix_lower', 't')\nwith ")


def test_an_index_dropped_if_it_exists_is_dropped_plainly_before_the_batch(up_and_down):
    up_and_down(
        migration(
            "op.drop_column('t', 'a')\nop.drop_column('t', 'b')\n"
            "op.drop_index('ix_t_a', 't', if_exists=True)\nop.drop_index('ix_t_b', 't')",
            "op.add_column('t', sa.Column('a', sa.Text()))\nop.create_index('ix_t_a', 't', ['a'])\n"
            "op.add_column('t', sa.Column('b', sa.Text()))\n"
            "op.create_index('ix_t_b', 't', ['b'], unique=True)",
        ),
        before=INDEXED,
        after=REST,
        moved=True,
    )


def test_the_order_within_a_batch_of_the_files_own_is_mended(up_and_down):
    text = up_and_down(
        migration(
            """
            with op.batch_alter_table("t", schema=None) as b:
                # first
                b.drop_column("a")  # one
                b.drop_column("b")
                # then
                b.drop_index("ix_t_a")  # two
                b.drop_index("ix_t_b")
            """,
            """
            with op.batch_alter_table("t", schema=None) as b:
                b.add_column(sa.Column("a", sa.Text()))
                b.add_column(sa.Column("b", sa.Text()))
                b.create_index("ix_t_a", ["a"])
                b.create_index("ix_t_b", ["b"], unique=True)
            """,
        ),
        before=INDEXED,
        after=REST,
        moved=True,
    )
    assert body(text) == (
        'with op.batch_alter_table("t", schema=None) as b:\n'
        "    # then\n"
        '    b.drop_index("ix_t_a")  # two\n'
        "    # first\n"
        '    b.drop_column("a")  # one\n'
        '    b.drop_index("ix_t_b")\n'
        '    b.drop_column("b")'
    )


def test_an_index_that_only_other_databases_drop_with_the_column_is_dropped_here(up_and_down):
    text = up_and_down(
        migration(
            """
            op.add_column('t', sa.Column('d', sa.Text(), index=True))
            op.create_index('ix_cd', 't', ['c', 'd'])
            op.create_check_constraint(op.f('ck_t_d'), 't', "d <> 'x'")
            """,
            "op.drop_column('t', 'd')",
        ),
        before=REST,
        after="""CREATE TABLE t (id INTEGER PRIMARY KEY, c INTEGER, d TEXT,
            CONSTRAINT ck_t_d CHECK (d <> 'x'));
            CREATE INDEX ix_t_d ON t (d);
            CREATE INDEX ix_cd ON t (c, d);""",
        compare=False,
    )
    assert body(text, "downgrade") == (
        "op.drop_index(op.f('ix_t_d'), 't')\n"
        "op.drop_index('ix_cd', 't')\n"
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.drop_constraint(op.f('ck_t_d'), type_='check')\n"
        "    batch_op.drop_column('d')"
    )


def test_an_index_that_the_function_drops_in_its_own_way_is_not_dropped_twice():
    source = migration(
        "op.create_index('ix_c', 't', ['c'])",
        "op.execute('DROP INDEX ix_c')\nop.drop_column('t', 'c')",
    )
    assert "drop_index" not in safe(source)


@pytest.mark.parametrize(
    "before_the_drop",
    [
        "op.create_unique_constraint('uq_t_b', 't', ['b'])\nop.drop_column('t', 'a')",
        "op.alter_column('t', 'a', new_column_name='z', existing_type=sa.Text())\n"
        "op.drop_column('t', 'z')",
    ],
    ids=["something else is made first", "the column was renamed first"],
)
def test_an_index_is_dropped_before_its_column_when(before_the_drop, tmp_path):
    database = Database(tmp_path, INDEXED)
    drop = "op.drop_index('ix_new', table_name='t')"
    early = "op.drop_index('ix_t_a', table_name='t')\nop.drop_column('other', 'x')"
    database.run("CREATE TABLE other (id INTEGER PRIMARY KEY, x TEXT);")
    made = "op.create_index('ix_new', 't', ['a'])"
    database.upgrade(safe(migration("\n".join([early, made, before_the_drop, drop]))))
    names = {name for name, *_ in database.schema["t"]["indexes"]}
    assert names == {"ix_t_b"}
    assert set(database.schema["t"]["columns"]) == {"id", "b", "c"}
