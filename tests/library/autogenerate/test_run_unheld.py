"""What SQLite does not hold of the models: said, where no migration says it."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from flask_keel.autogenerate import run

from .compared import model

JSONB = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TINY = sa.Integer().with_variant(mysql.TINYINT(), "mysql")


def column(kind, **options):
    return lambda: [sa.Column("a", kind, **options)]


def by_check(*values):
    return sa.Enum(*values, native_enum=False, create_constraint=True, name="k")


def index(**options):
    return lambda: [sa.Column("a", sa.Text), sa.Index("ix_t_a", "a", **options)]


def said(before, after, sources=""):
    """What is said of models whose history made others."""
    history, models = (run.of_models(model(*parts())) for parts in (before, after))
    return "; ".join(run._differences(history, models, sources))


@pytest.mark.parametrize(
    "before, after, words",
    [
        (column(sa.Enum("x", "y")), column(sa.Enum("x", "z")), "t.a may be 'x', 'z', not 'x', 'y'"),
        (column(sa.Enum("x", "y")), column(sa.Enum("x")), "t.a may be 'x', not"),
        (column(sa.Enum("x", "y")), column(sa.Enum("y", "x")), "ENUM('y','x') on MariaDB"),
        (
            column(sa.Enum("x", name="k")),
            column(sa.Enum("x", name="l")),
            "is l on PostgreSQL, not k",
        ),
        (column(sa.Text), column(sa.Text, comment="why"), "the comment of t.a is 'why', not None"),
        (column(sa.DateTime), column(sa.DateTime(timezone=True)), "WITH TIME ZONE on PostgreSQL"),
        (column(sa.DateTime), column(sa.Interval), "t.a is INTERVAL on PostgreSQL, not TIMESTAMP"),
        (column(sa.LargeBinary), column(sa.PickleType), "t.a holds what pickle makes of it, not"),
        (column(sa.JSON), column(JSONB), "t.a is JSONB on PostgreSQL, not JSON"),
        (column(sa.Integer), column(TINY), "t.a is TINYINT on MariaDB, not INTEGER"),
        (column(sa.CHAR(32)), column(sa.Uuid), "t.a is UUID on PostgreSQL, not CHAR(32)"),
        (index(), index(postgresql_using="hash"), "ix_t_a is CREATE INDEX ix_t_a ON t USING hash"),
        (index(), index(mysql_length=9), "ON t (a(9)) on MariaDB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_thing_that_sqlite_does_not_hold_is_said(before, after, words):
    assert words in said(before, after)
    assert not said(after, after)


@pytest.mark.parametrize(
    "before, after",
    [
        (column(sa.String(9)), column(sa.String(12))),
        (column(sa.Integer), column(sa.Text)),
        (index(), index(unique=True)),
        (column(by_check("x", "y")), column(by_check("x", "z"))),
        (list, column(sa.Enum("x"))),
    ],
)
def test_what_sqlite_shows_is_left_to_the_comparison(before, after):
    assert not said(before, after)


def test_a_value_that_sql_of_postgresql_adds_is_known():
    change = column(sa.Enum("x", "y")), column(sa.Enum("x", "y", "z"))
    assert "'z'" in said(*change)
    assert not said(*change, sources="""op.execute("ALTER TYPE k ADD VALUE 'z' BEFORE 'y'")""")
    assert "'z'" in said(*change, sources="""op.execute("ALTER TYPE k ADD VALUE 'zz'")""")


def test_newmigration_and_check_say_it_until_a_migration_does(bare):
    def item(values, comment, name="mood"):
        bare.model(
            "item",
            "id: Mapped[int] = mapped_column(primary_key=True)\n"
            f"{name}: Mapped[str] = mapped_column(sa.Enum({values}, name='kind'), comment={comment!r})\n"
            "made: Mapped[datetime]\nname: Mapped[str] = mapped_column(sa.String(9), index=True)\n",
        )

    item("'sad', 'fine'", "how")
    bare.new_migration()
    assert "SQLite does not hold" not in bare.db("check").assert_ok().said
    item("'sad', 'fine'", "how", name="feels")
    bare.new_migration("-x", "rename=item.mood:feels")
    item("'sad', 'glad'", "how it is", name="feels")
    for command in ("migrate", "check"):
        answer = bare.db(command).assert_ok()
        assert "item.feels may be 'sad', 'glad', not 'sad', 'fine'" in answer.err
        assert "the comment of item.feels is 'how it is', not 'how'" in answer.err
        assert "nothing to migrate" not in answer.err
        assert "the models and the history agree\n" not in answer.err
    head = bare.db("heads").assert_ok().out.split()[0]
    bare.migration(
        "aaaa00000003",
        head,
        "with op.batch_alter_table('item') as batch:\n"
        "    batch.alter_column('feels', existing_type=sa.Enum('sad', 'fine', name='kind'),\n"
        "        type_=sa.Enum('sad', 'glad', name='kind'), comment='how it is')",
    )
    assert "nothing to migrate" in bare.db("migrate").assert_ok().err
    assert "SQLite does not hold" not in bare.db("check").assert_ok().said
