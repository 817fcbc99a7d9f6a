"""Names that need quotes, tables in a schema of their own, and databases that do not take a shadow."""

import databases
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.dialects import mysql, postgresql

from .compared import CONVENTION, Bench, model


def odd(rule, default, where="id > 1", schema=None):
    metadata = sa.MetaData(naming_convention=CONVENTION, schema=schema)
    sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
    prefix = f"{schema}." if schema else ""
    sa.Table(
        'Order "Line"',
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("select", sa.String(20), server_default=default),
        sa.Column("Größe", sa.Integer, sa.ForeignKey(f"{prefix}parent.id")),
        sa.CheckConstraint(sa.column("select", sa.String) != rule, name="rule: 5%"),
        sa.Index("Odd Index", "select", unique=True),
        sa.Index("ix_part", "Größe", sqlite_where=sa.text(where), postgresql_where=sa.text(where)),
    )
    return metadata


def test_names_that_need_quotes(bench):
    lines = bench.round_trip(odd("a", "x"), odd("b:c 5%", "y"))
    assert len([line for line in lines if "_constraint(" in line]) == 2


def test_a_schema_of_its_own(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        engine = databases.engine(url).execution_options(isolation_level="READ COMMITTED")
        bench = Bench(engine, include_schemas=True)
        bench.run("CREATE SCHEMA audit")
        one, two = odd("a", "x", schema="audit"), odd("b", "x", "id > 2", schema="audit")
        lines = bench.round_trip(one, two)
        assert len([line for line in lines if "_constraint(" in line]) == 2
        assert len([line for line in lines if "_index(" in line]) == 2
        names = bench.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%scratch%'")
        assert names == []
        engine.dispose()


def test_native_enums_and_arrays(postgresql_server):
    def make(default):
        mood = sa.Enum("sad", "it's", name="mood")
        metadata = sa.MetaData(naming_convention=CONVENTION)
        sa.Table(
            "t",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("now", mood, server_default=default),
            sa.Column("then", mood),
            sa.Column("all", sa.ARRAY(mood)),
            sa.CheckConstraint("now <> 'sad' OR id > 5", name="rule"),
        )
        return metadata

    with databases.fresh(postgresql_server) as url:
        engine = databases.engine(url).execution_options(isolation_level="READ COMMITTED")
        lines = Bench(engine).round_trip(make("sad"), make("it's"))
        assert sum("alter_column" in line for line in lines) == 1
        engine.dispose()


def test_a_model_that_makes_no_table_is_one_sentence_and_no_verdict(bench):
    def make(length):
        metadata = sa.MetaData()
        sa.Table(
            "t",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("a", sa.String(length)),
            *([sa.CheckConstraint("no_such_column(((", name="broken")] if length > 5 else []),
        )
        return metadata

    bench.create(make(5))
    with pytest.raises(CommandError, match="The model of t makes no table on") as error:
        bench.changes(make(9))
    assert "\n" not in str(error.value) and "id INTEGER" not in str(error.value)


@databases.mariadb_alone
def test_two_checks_of_one_name_are_no_verdict(bench):
    def make(*checks):
        return model(
            sa.Column("a", sa.Integer),
            *(sa.CheckConstraint(sql, name="rule") for sql in checks),
            convention={},
        )

    bench.create(make("a > 0"))
    if bench.kind == "sqlite":  # which takes both
        assert "a < 9" in " ".join(bench.changes(make("a > 0", "a < 9")))
        return
    with pytest.raises(CommandError, match=r"The model of t makes no table on .*rule"):
        bench.changes(make("a > 0", "a < 9"))


def test_a_named_check_of_a_column_is_compared_too(bench):
    def make(*parts):
        return model(sa.Column("a", sa.Integer, *parts))

    def apart(sql):
        return model(sa.Column("a", sa.Integer), sa.CheckConstraint(sql, name="positive"))

    bench.create(apart("a > 0"))
    assert bench.changes(make(sa.CheckConstraint("a > 0", name="positive"))) == ["pass"]
    changed = make(sa.CheckConstraint("a > 1", name="positive"))
    assert "a > 1" in " ".join(bench.changes(changed))


FOREIGN = {"sqlite": postgresql.INET, "postgresql": mysql.YEAR, "mysql": postgresql.INET}


def test_a_type_of_another_database_is_said_without_an_address_of_memory(bench):
    kind = FOREIGN[bench.kind.replace("mariadb", "mysql")]
    bench.create(model())
    column = sa.Column("place", kind)
    new = model()
    sa.Table("new", new, sa.Column("id", sa.Integer, primary_key=True), column._copy())
    for changed in (model(column), new):
        with pytest.raises(CommandError, match=f"place: .* has no type {kind.__name__}") as error:
            bench.changes(changed)
        assert "0x" not in str(error.value)


def test_no_database_is_left_behind(mariadb_server):
    before = databases.names(mariadb_server)
    with databases.fresh(mariadb_server) as url:
        engine = databases.engine(url)
        bench = Bench(engine)
        bench.create(odd("a", "x"))
        assert bench.changes(odd("a", "x")) == ["pass"]
        engine.dispose()
    assert databases.names(mariadb_server) == before
