"""One rebuild for a table however many operations there are, as far as their order allows."""

import pytest

from .migrating import assert_same_on_postgresql, body, migration, safe

TABLES = """CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y TEXT, z TEXT);
CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT, y TEXT, a_id INTEGER);"""


def upgraded(text):
    """What becomes of the body of an upgrade; PostgreSQL sees no difference but in order."""
    source = migration(text)
    after = safe(source)
    assert_same_on_postgresql(source, after, moved=True)
    return body(after)


def test_operations_on_one_table_share_a_batch(up_and_down):
    text = up_and_down(
        migration(
            """
            op.alter_column('a', 'x', nullable=False, existing_type=sa.Text())
            op.drop_column('a', 'y')
            op.drop_column('a', 'z')
            op.create_foreign_key('fk_b_a', 'b', 'a', ['a_id'], ['id'])
            op.drop_column('b', 'x')
            """,
            """
            op.add_column('b', sa.Column('x', sa.Text()))
            op.drop_constraint('fk_b_a', 'b', type_='foreignkey')
            op.add_column('a', sa.Column('z', sa.Text()))
            op.add_column('a', sa.Column('y', sa.Text()))
            op.alter_column('a', 'x', nullable=True, existing_type=sa.Text())
            """,
        ),
        before=TABLES,
        after="""CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL);
            CREATE TABLE b (id INTEGER PRIMARY KEY, y TEXT, a_id INTEGER,
            CONSTRAINT fk_b_a FOREIGN KEY(a_id) REFERENCES a (id))""",
    )
    assert body(text).count("batch_alter_table") == 2
    assert body(text, "downgrade").count("batch_alter_table") == 2


def test_what_sqlite_can_do_stays_plain_at_the_edges_and_joins_in_the_middle():
    assert upgraded(
        """
        op.add_column('a', sa.Column('p', sa.Text()))
        op.drop_column('a', 'x')
        op.add_column('a', sa.Column('q', sa.Text()))
        op.create_index('ix_a_y', 'a', ['y'])
        op.drop_column('a', 'z')
        op.create_index('ix_a_q', 'a', ['q'], unique=True)
        """
    ) == (
        "op.add_column('a', sa.Column('p', sa.Text()))\n"
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('x')\n"
        "    batch_op.add_column(sa.Column('q', sa.Text()))\n"
        "    batch_op.create_index('ix_a_y', ['y'])\n"
        "    batch_op.drop_column('z')\n"
        "op.create_index('ix_a_q', 'a', ['q'], unique=True)"
    )


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_an_index_that_a_rebuild_cannot_make_parts_two_batches(up_and_down):
    text = up_and_down(
        migration(
            """
            op.drop_column('a', 'x')
            op.create_index('ix_lower', 'a', [sa.text('lower(y)')])
            op.create_index('ix_there', 'a', ['y'], if_not_exists=True)
            """,
            """
            op.drop_index('ix_there', 'a')
            op.drop_index('ix_lower', 'a')
            op.add_column('a', sa.Column('x', sa.Text()))
            """,
        ),
        before=TABLES,
        after="""CREATE TABLE a (id INTEGER PRIMARY KEY, y TEXT, z TEXT);
            CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT, y TEXT, a_id INTEGER);
            CREATE INDEX ix_lower ON a (lower(y));
            CREATE INDEX ix_there ON a (y);""",
    )
    assert "op.create_index('ix_there', 'a', ['y'], if_not_exists=True)" in text


def test_what_a_batch_makes_is_taken_away_by_another_one(up_and_down):
    up_and_down(
        migration(
            """
            op.drop_column('a', 'x')
            op.create_index('ix1', 'a', ['y'])
            op.add_column('a', sa.Column('q', sa.Integer(), sa.ForeignKey('b.id'), index=True))
            op.drop_column('a', 'y')
            op.drop_index('ix1', 'a')
            op.drop_index('ix_a_q', 'a')
            op.drop_column('a', 'q')
            """,
            """
            op.add_column('a', sa.Column('y', sa.Text()))
            op.add_column('a', sa.Column('x', sa.Text()))
            """,
        ),
        before=TABLES,
        after="""CREATE TABLE a (id INTEGER PRIMARY KEY, z TEXT);
            CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT, y TEXT, a_id INTEGER);""",
        moved=True,
    )


def test_a_data_statement_is_never_passed():
    assert upgraded(
        """
        op.drop_column('a', 'x')
        op.execute("UPDATE a SET y = 1")
        op.drop_column('a', 'y')
        """
    ) == (
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('x')\n"
        'op.execute("UPDATE a SET y = 1")\n'
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('y')"
    )


def test_any_statement_that_is_not_known_is_never_passed():
    for stranger in (
        "print(1)",
        "x = 1",
        "pass",
        "if True:\n    pass",
        "op.rename_table('q', 'r')",
    ):
        after = safe(migration(f"op.drop_column('a', 'x')\n{stranger}\nop.drop_column('a', 'y')"))
        assert body(after).count("batch_alter_table") == 2, stranger


def test_a_drop_does_not_pass_another_tables_drop():
    after = upgraded("op.drop_column('a', 'x')\nop.drop_column('b', 'x')\nop.drop_column('a', 'y')")
    assert after.count("batch_alter_table") == 3


def test_an_operation_that_can_matter_to_no_other_table_is_passed():
    after = upgraded(
        """
        op.drop_column('a', 'x')
        op.add_column('b', sa.Column('q', sa.Text()))
        op.create_check_constraint('ck', 'b', 'q > 1')
        op.drop_column('a', 'y')
        """
    )
    assert after == (
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('x')\n"
        "    batch_op.drop_column('y')\n"
        "op.add_column('b', sa.Column('q', sa.Text()))\n"
        "with op.batch_alter_table('b') as batch_op:\n"
        "    batch_op.create_check_constraint('ck', 'q > 1')"
    )


def test_a_foreign_key_is_not_passed_by_its_target():
    after = upgraded(
        """
        op.create_check_constraint('ck1', 'a', 'x > 1')
        op.create_foreign_key('fk', 'b', 'a', ['a_id'], ['x'])
        op.create_check_constraint('ck2', 'a', 'x > 2')
        """
    )
    assert after.count("batch_alter_table") == 3


def test_the_same_variable_is_the_same_table():
    after = upgraded(
        """
        for name in ('a', 'b'):
            op.drop_column(name, 'x')
            op.drop_column(name, 'y')
        """
    )
    assert after == (
        "for name in ('a', 'b'):\n"
        "    with op.batch_alter_table(name) as batch_op:\n"
        "        batch_op.drop_column('x')\n"
        "        batch_op.drop_column('y')"
    )


def test_a_table_that_is_computed_has_a_batch_of_its_own_for_each_call():
    after = upgraded(
        """
        prefix = 'p_'
        op.drop_column(prefix + 'a', 'x')
        op.drop_column(f'{prefix}a', 'y')
        op.drop_column(f'{prefix}a', 'z')
        """
    )
    assert after.count("batch_alter_table") == 3
    assert "with op.batch_alter_table(f'{prefix}a') as batch_op:" in after


def test_a_variable_and_a_literal_are_two_tables():
    after = upgraded("a = 'a'\nop.drop_column(a, 'x')\nop.drop_column('a', 'y')")
    assert after.count("batch_alter_table") == 2


def test_an_argument_that_may_ask_the_database_is_computed_after_what_came_before():
    after = safe(
        migration(
            """
            op.drop_column('a', 'x')
            op.drop_constraint(find_name('a'), 'a', type_='unique')
            op.drop_column('a', 'y')
            """
        )
    )
    assert body(after) == (
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('x')\n"
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_constraint(find_name('a'), type_='unique')\n"
        "    batch_op.drop_column('y')"
    )


def test_a_type_or_a_construct_that_was_imported_asks_nothing_but_a_function_may():
    source = migration(
        """
        op.drop_column('a', 'x')
        op.alter_column('a', 'y', type_=Money(sa.Integer()), existing_type=sa.Text())
        op.drop_constraint(find_name('a'), 'a', type_='unique')
        op.drop_constraint(sa.inspect(where).get_pk_constraint('a')['name'], 'a')
        """
    ).replace(
        "import sqlalchemy as sa", "import sqlalchemy as sa\nfrom ours import Money, find_name"
    )
    batches = body(safe(source)).split("with op.batch_alter_table('a') as batch_op:\n")[1:]
    assert [batch.count("batch_op.") for batch in batches] == [2, 1, 1]


def test_branches_loops_and_helpers_have_batches_of_their_own(up_and_down):
    source = migration(
        """
        if op.get_context().dialect.name != 'mysql':
            op.drop_column('a', 'x')
        else: op.drop_column('a', 'y')  # never here
        for column in ['y', 'z']: op.drop_column('a', column)
        helper()
        """,
        """
        try:
            op.add_column('a', sa.Column('x', sa.Text()))
        finally:
            op.add_column('a', sa.Column('y', sa.Text()))
            op.add_column('a', sa.Column('z', sa.Text()))
            with op.batch_alter_table('b') as b:
                b.add_column(sa.Column('x', sa.Text()))
        """,
    )
    source += "\n\ndef helper(table='b'):\n    op.drop_column(table, 'x')\n"
    text = up_and_down(
        source,
        before=TABLES,
        after="""CREATE TABLE a (id INTEGER PRIMARY KEY);
            CREATE TABLE b (id INTEGER PRIMARY KEY, y TEXT, a_id INTEGER)""",
    )
    assert (
        "    else:\n"
        "        with op.batch_alter_table('a') as batch_op:\n"
        "            batch_op.drop_column('y')  # never here\n"
    ) in text


def test_statements_on_one_line_are_taken_apart():
    after = upgraded("op.drop_column('a', 'x'); x = 1; op.drop_column('a', 'y')  # both")
    assert after == (
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('x')\n"
        "x = 1\n"
        "with op.batch_alter_table('a') as batch_op:\n"
        "    batch_op.drop_column('y')  # both"
    )


def test_every_way_to_import_op_is_known():
    for line, prefix in (
        ("from alembic import op as o", "o"),
        ("import alembic.op", "alembic.op"),
        ("import alembic.op as o", "o"),
        ("import alembic", "alembic.op"),
        ("import alembic as al", "al.op"),
    ):
        source = migration(f"{prefix}.drop_column(table_name='a', column_name='x')")
        source = source.replace("from alembic import op", line)
        after = safe(source)
        assert_same_on_postgresql(source, after)
        assert body(after) == (
            f"with {prefix}.batch_alter_table('a') as batch_op:\n"
            "    batch_op.drop_column(column_name='x')"
        )


def test_a_name_that_is_taken_is_not_taken_again():
    after = safe(migration("batch_op = 1\nop.drop_column('a', 'x')\nprint(batch_op)"))
    assert "with op.batch_alter_table('a') as batch_op_2:\n    batch_op_2.drop_column('x')" in body(
        after
    )


def test_a_plain_operation_within_a_batch_of_another_table_does_not_disturb_it(up_and_down):
    text = up_and_down(
        migration(
            """
            with op.batch_alter_table('a') as batch_op:
                batch_op.drop_column('x')
                op.drop_column('b', 'x')
                batch_op.drop_column('y')
            """,
            """
            op.add_column('a', sa.Column('x', sa.Text()))
            op.add_column('a', sa.Column('y', sa.Text()))
            op.add_column('b', sa.Column('x', sa.Text()))
            """,
        ),
        before=TABLES,
        after="""CREATE TABLE a (id INTEGER PRIMARY KEY, z TEXT);
            CREATE TABLE b (id INTEGER PRIMARY KEY, y TEXT, a_id INTEGER)""",
    )
    assert "with op.batch_alter_table('b') as batch_op_2:" in text


def test_a_batch_of_the_files_own_stays_as_it_is():
    source = migration(
        """
        with op.batch_alter_table('a', schema=None, recreate='always') as batch_op:
            batch_op.drop_index(batch_op.f('ix_a_x'))
            batch_op.drop_column('x')
            batch_op.create_foreign_key(batch_op.f('fk'), 'b', ['y'], ['id'])
        """
    )
    assert safe(source) == source
