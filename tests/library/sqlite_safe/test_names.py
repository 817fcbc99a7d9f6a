"""Constraints without a name get the one that the models would give them."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import render

from flask_keel.sqlite import naming
from flask_keel.sqlite_safe import make_safe
from flask_keel.sqlite_safe.rewriter import UNNAMED

from .migrating import Database, assert_same_on_postgresql, body, migration, safe

TABLES = """CREATE TABLE user (id INTEGER PRIMARY KEY, a TEXT, b TEXT);
CREATE TABLE post (id INTEGER PRIMARY KEY, user_id INTEGER, price INTEGER%s);"""


def test_what_autogenerate_leaves_unnamed_is_named_on_both_sides(up_and_down):
    text = up_and_down(
        migration(
            """
            op.create_unique_constraint(None, 'user', ['a', 'b'])
            op.create_foreign_key(None, 'post', 'user', ['user_id'], ['id'])
            op.create_unique_constraint(None, 'post', ['price'])
            """,
            """
            op.drop_constraint(None, 'post', type_='unique')
            op.drop_constraint(None, 'post', type_='foreignkey')
            op.drop_constraint(None, 'user', type_='unique')
            """,
        ),
        before=TABLES % "",
        after=TABLES.replace("b TEXT", "b TEXT, CONSTRAINT uq_user_a_b UNIQUE (a, b)")
        % """, CONSTRAINT uq_post_price UNIQUE (price),
            CONSTRAINT fk_post_user_id_user FOREIGN KEY(user_id) REFERENCES user (id)""",
        # without a name the drop cannot be written as SQL at all
        compare=False,
    )
    assert "batch_op.drop_constraint(op.f('uq_user_a_b'), type_='unique')" in text
    assert make_safe(text).notes == []


def test_several_are_dropped_in_the_opposite_order():
    source = migration(
        "op.create_unique_constraint(None, 't', ['a'])\nop.create_unique_constraint(None, 't', ['b'])",
        "op.drop_constraint(None, 't', type_='unique')\nop.drop_constraint(None, 't', type_='unique')",
    )
    after = body(safe(source), "downgrade")
    assert after.index("uq_t_b") < after.index("uq_t_a")


def test_the_names_are_those_that_alembic_gives_at_run_time():
    convention = {
        "uq": "unique_%(table_name)s_%(column_0_name)s",
        "fk": "%(column_0_N_name)s_of_%(table_name)s_to_%(referred_table_name)s",
        "pk": "key_%(table_name)s",
    }
    source = migration(
        """
        op.create_unique_constraint(None, 'post', ['a', 'b'])
        op.create_foreign_key(None, 'post', 'user', ['x', 'y'], ['p', 'q'], referent_schema='s')
        op.create_foreign_key(None, 'post', 'post', ['parent_id'], ['id'])
        op.create_primary_key(None, 'post', ['id'])
        op.add_column('post', sa.Column('u', sa.Integer(), sa.ForeignKey('s.user.id'), unique=True))
        with op.batch_alter_table('post') as b:
            b.create_unique_constraint(None, ['c'])
            b.add_column(sa.Column('v', sa.Integer(), sa.ForeignKey('user.id'), unique=True))
        """
    )
    for given in (None, convention):
        named = safe(source, given)
        assert "None" not in body(named)
        assert_same_on_postgresql(source, named, moved=True, convention=given or naming.CONVENTION)


def test_a_convention_may_speak_of_the_column_that_is_referred_to():
    convention = {"fk": "fk_%(column_0_name)s_%(referred_table_name)s_%(referred_column_0_name)s"}
    source = migration("op.create_foreign_key(None, 'a', 'b', ['b_key'], ['key'])")
    named = safe(source, convention)
    assert "op.f('fk_b_key_b_key')" in named
    assert_same_on_postgresql(source, named, convention=convention)


def test_a_convention_that_cannot_be_filled_in_is_named():
    source = migration("op.create_unique_constraint(None, 't', ['a'])")
    result = make_safe(source, {"uq": "uq_%(nonsense)s"})
    assert "batch_op.create_unique_constraint(None, ['a'])" in result.source
    assert "give it a name" in result.notes[0]


def test_a_convention_without_a_kind_is_completed():
    assert "op.f('uq_t_a')" in safe(
        migration("op.create_unique_constraint(None, 't', ['a'])"), {"ix": "ix_%(column_0_label)s"}
    )


def test_an_unnamed_check_is_named_after_its_columns(up_and_down):
    up_and_down(
        migration(
            """
            op.create_check_constraint(None, 'post', 'price > 0')
            op.create_check_constraint(None, 'post', sa.text("price < 100"))
            op.create_check_constraint(None, 'post', "user_id <> price OR price IS NULL")
            """,
            """
            op.drop_constraint(None, 'post', type_='check')
            op.drop_constraint(None, 'post', type_='check')
            op.drop_constraint(None, 'post', type_='check')
            """,
        ),
        before=TABLES % "",
        after=TABLES
        % """, CONSTRAINT ck_post_price CHECK (price > 0),
            CONSTRAINT ck_post_price_66aa8c67 CHECK (price < 100),
            CONSTRAINT ck_post_user_id_price CHECK (user_id <> price OR price IS NULL)""",
        compare=False,
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("price > 0", "price"),
        ("Length(\"first name\") > 1 AND city NOT IN ('or', 'it''s a')", "first_name_city"),
        ("kind IN ('a', 'b') and amount::numeric > CAST(total AS integer)", "kind_amount_total"),
        ("1 = 1", "f4da70e4"),
        (" OR ".join(f"a_long_column_{n} > {n}" for n in range(5)), "05252100"),
    ],
)
def test_a_checks_name_is_readable_or_else_short(text, name):
    columns = naming.columns_of_check(text)
    made = next(naming.check_names(text, columns))
    assert made == name
    assert made == next(naming.check_names(f"  {text}\n", columns))


def test_a_check_that_is_an_expression_is_named_after_its_columns():
    text = safe(migration("op.create_check_constraint(None, 't', sa.column('price') > 0)"))
    assert "op.f('ck_t_price')" in text


def test_a_column_in_a_batch_of_the_files_own_gets_its_names(tmp_path):
    source = migration(
        """
        with op.batch_alter_table("post") as batch_op:
            batch_op.add_column(sa.Column("slug", sa.Text(), unique=True, index=False))  # new
            batch_op.add_column(sa.Column("by", sa.Integer(), sa.ForeignKey("user.id"), index=True))
        """
    )
    database = Database(tmp_path, TABLES % "")
    database.upgrade(safe(source))
    post = database.schema["post"]
    assert post["unique"] == {("uq_post_slug", ("slug",))}
    assert {key[0] for key in post["foreign"]} == {"fk_post_by_user"}
    assert post["indexes"] == {("ix_post_by", ("by",), False)}


def test_a_constraint_that_has_no_name_in_the_database_is_dropped_all_the_same(up_and_down):
    text = up_and_down(
        migration(
            """
            op.drop_constraint(None, 'post', type_='foreignkey')
            with op.batch_alter_table('user') as batch_op:
                batch_op.drop_constraint(None, type_='unique')
            """,
            """
            with op.batch_alter_table('user') as batch_op:
                batch_op.create_unique_constraint(None, ['a'])
            op.create_foreign_key(None, 'post', 'user', ['user_id'], ['id'])
            """,
        ),
        before=TABLES.replace("b TEXT", "b TEXT, CONSTRAINT uq_user_a UNIQUE (a)")
        % ", CONSTRAINT fk_post_user_id_user FOREIGN KEY(user_id) REFERENCES user (id)",
        after=TABLES % "",
        compare=False,
    )
    assert "naming_convention={'uq': 'uq_%(table_name)s_%(column_0_N_name)s'}" in text


def test_it_is_dropped_when_it_really_has_no_name(tmp_path):
    source = migration(
        "op.drop_constraint(None, 'user', type_='unique')",
        "op.create_unique_constraint(None, 'user', ['a'])",
    )
    database = Database(tmp_path, TABLES.replace("b TEXT", "b TEXT, UNIQUE (a)") % "")
    database.upgrade(safe(source))
    assert database.schema["user"]["unique"] == set()


def test_a_constraint_of_a_new_table_is_named_only_when_it_is_dropped_later(up_and_down):
    text = up_and_down(
        migration(
            """
            op.create_table('one',
                sa.Column('id', sa.Integer(), primary_key=True),
                sa.Column('two_id', sa.Integer()),
                sa.Column('x', sa.Integer()),
                sa.ForeignKeyConstraint(['two_id'], ['user.id'], ),
                sa.UniqueConstraint('x'),
            )
            """,
            """
            op.drop_constraint(None, 'one', type_='foreignkey')
            op.drop_table('one')
            """,
        ),
        before=TABLES % "",
        after=TABLES % ""
        + """CREATE TABLE one (id INTEGER NOT NULL PRIMARY KEY, two_id INTEGER, x INTEGER,
            CONSTRAINT fk_one_two_id_user FOREIGN KEY(two_id) REFERENCES user (id), UNIQUE (x))""",
        compare=False,
    )
    assert "sa.UniqueConstraint('x')," in text
    assert "['user.id'], name=op.f('fk_one_two_id_user'), )" in text


def test_a_drop_by_the_conventions_name_names_what_it_drops():
    text = safe(
        migration(
            "op.create_table('t', sa.Column('a', sa.Integer(), sa.ForeignKey('u.id')))\n"
            "op.drop_constraint('fk_t_a_u', 't', type_='foreignkey')"
        )
    )
    assert "sa.ForeignKey('u.id', name=op.f('fk_t_a_u'))" in text


def test_two_unnamed_constraints_and_one_drop_are_left_to_a_person():
    source = migration(
        "op.create_unique_constraint(None, 't', ['a'])\nop.create_unique_constraint(None, 't', ['b'])",
        "op.drop_constraint(None, 't', type_='unique')",
    )
    result = make_safe(source)
    assert "batch_op.drop_constraint(None, type_='unique')" in result.source
    (note,) = result.notes
    assert note.startswith("line 18: op.drop_constraint drops a constraint without a name")


def test_a_constraint_that_goes_with_its_column_is_not_taken_for_the_one_that_is_dropped():
    source = migration(
        "op.create_unique_constraint(None, 't', ['a'])\n"
        "op.add_column('t', sa.Column('b', sa.Text(), unique=True))",
        "op.drop_column('t', 'b')\nop.drop_constraint(None, 't', type_='unique')",
    )
    assert "drop_constraint(op.f('uq_t_a'), type_='unique')" in safe(source)


def test_a_constraint_whose_table_is_a_variable_is_not_named():
    source = migration("for t in ('a', 'b'):\n    op.create_unique_constraint(None, t, ['x'])")
    result = make_safe(source)
    assert "batch_op.create_unique_constraint(None, ['x'])" in result.source
    assert "give it a name" in result.notes[0]
    assert_same_on_postgresql(source, result.source)


def test_the_warning_that_autogenerate_writes_goes_with_its_reason():
    warning = "\n".join(UNNAMED)
    source = migration(
        "op.create_unique_constraint(None, 't', ['a'])",
        f"# mine\n{warning}\nop.drop_constraint(None, 't', type_='unique')",
    )
    after = body(safe(source), "downgrade")
    assert after.startswith("# mine\nwith op.batch_alter_table('t')")
    assert "WARNING" not in after


@pytest.mark.skipif(
    not hasattr(render, "_UNNAMED_CONSTRAINT_WARNING"), reason="Alembic writes it since 1.19"
)
def test_the_warning_is_the_one_that_autogenerate_writes():
    assert list(UNNAMED) == render._UNNAMED_CONSTRAINT_WARNING


def test_the_name_is_written_in_the_quotes_of_its_call():
    text = safe(migration('op.create_unique_constraint(None, "t", ["a"])'))
    assert body(text) == (
        'with op.batch_alter_table("t") as batch_op:\n'
        '    batch_op.create_unique_constraint(op.f("uq_t_a"), ["a"])'
    )


def test_names_are_sqlalchemys_own():
    metadata = sa.MetaData(naming_convention=naming.CONVENTION)
    table = sa.Table(
        "post",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("slug", sa.Text, index=True),
        sa.Column("a", sa.Integer, sa.ForeignKey("user.id"), unique=True),
    )
    mine = {
        naming.name("pk", naming.CONVENTION, "post", ["id"]),
        naming.name("uq", naming.CONVENTION, "post", ["a"]),
        naming.name("fk", naming.CONVENTION, "post", ["a"], referred=(None, "user", ("id",))),
        naming.name("ix", naming.CONVENTION, "post", ["slug"]),
    }
    assert mine == {str(c.name) for c in (*table.constraints, *table.indexes)}
