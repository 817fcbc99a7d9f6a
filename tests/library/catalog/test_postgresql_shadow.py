"""Many tables read at once say what each says for itself."""

import databases
import pytest
import sqlalchemy as sa

from flask_keel.catalog import postgresql_shadow
from flask_keel.project import listening

from ..autogenerate.test_tables import models


@pytest.fixture
def connection(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        engine = databases.engine(url).execution_options(isolation_level="READ COMMITTED")
        with engine.connect() as connection:
            yield connection


def home(metadata):
    return [table for table in metadata.tables.values() if table.schema is None]


def test_what_is_read_at_once_is_what_is_read_one_by_one(connection):
    connection.exec_driver_sql("CREATE SCHEMA audit")
    metadata = models("postgresql")
    metadata.create_all(connection)
    reals, shadows = postgresql_shadow.ahead(connection, list(metadata.tables.values()))
    assert list(reals) == home(metadata)
    assert len(shadows) > 20  # those without enums, domains, sequences and CHECKs
    for model, found in reals.items():
        assert found == postgresql_shadow.real(connection, None, model.name)
    for model, found in shadows.items():
        assert found == postgresql_shadow.shadow(connection, model)


def test_a_model_that_makes_no_table_keeps_no_other_from_being_read(connection):
    metadata = sa.MetaData()
    for name, default in (("fine", "1"), ("broken", "no_such_function()")):
        column = sa.Column("n", sa.Integer, server_default=sa.text(default))
        sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), column)
    metadata.tables["fine"].create(connection)
    reals, shadows = postgresql_shadow.ahead(connection, list(metadata.tables.values()))
    assert [*reals[metadata.tables["fine"]].columns] == ["id", "n"]
    assert shadows == {}
    assert connection.exec_driver_sql("SELECT count(*) FROM fine").scalar() == 0


def test_a_table_with_a_boolean_has_a_shadow(connection):
    on = sa.Column("on", sa.Boolean, sa.CheckConstraint('"on" IS NOT NULL'))
    model = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), on)
    assert [*postgresql_shadow.shadow(connection, model).columns] == ["id", "on"]


class Point(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **_):
        return "point"


def key(name="id"):
    return sa.Column(name, sa.Integer, primary_key=True)


LONG = "a_name_of_which_the_server_keeps_about_the_half_"
# pairs of which the second would be otherwise, were the first there
PAIRS = {
    "the type of a column": lambda: (
        ("point", key()),
        ("b", key(), sa.Column("at", Point, server_default="(1,2)")),
    ),
    "the name of a sequence": lambda: (("a", key("b_c")), ("a_b", key("c"))),
    "the name of a shortened sequence": lambda: (
        (f"{LONG}one", key(LONG)),
        (f"{LONG}two", key(LONG)),
    ),
    "the name of an index": lambda: (("b", key(), sa.Index("a_id_seq", "id")), ("a", key())),
    "the name of a constraint": lambda: (
        ("a", key(), sa.Column("b_c", sa.Integer), sa.UniqueConstraint("b_c")),
        ("a_b", key(), sa.Column("c", sa.Integer), sa.UniqueConstraint("c")),
    ),
}


@pytest.mark.parametrize("which", PAIRS)
def test_a_shadow_sees_no_other_shadow(connection, which):
    metadata = sa.MetaData()
    for name, *parts in PAIRS[which]():
        sa.Table(name, metadata, *parts)
    models = list(metadata.tables.values())
    metadata.create_all(connection)
    _, shadows = postgresql_shadow.ahead(connection, models)
    assert [shadows[model] for model in models] == [
        postgresql_shadow.shadow(connection, model) for model in models
    ]


def test_shadows_that_have_nothing_to_do_with_each_other_are_made_at_once(connection):
    metadata = sa.MetaData()
    for number in range(150):
        parent = sa.Column("parent_id", sa.ForeignKey(f"t{max(0, number - 1)}.id"))
        sa.Table(f"t{number}", metadata, key(), parent, sa.Column("n", sa.Text, index=True))
    messages = []
    with listening(connection.engine, before_cursor_execute=lambda *said: messages.append(said[2])):
        _, shadows = postgresql_shadow.ahead(connection, list(metadata.tables.values()))
    assert len(shadows) == 150
    assert len(messages) < 20
