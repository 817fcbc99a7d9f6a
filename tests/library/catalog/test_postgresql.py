"""Many tables read at once say what each says for itself."""

import databases
import pytest
import sqlalchemy as sa

from flask_keel.catalog import postgresql

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
    reals, twins = postgresql.ahead(connection, list(metadata.tables.values()))
    assert list(reals) == home(metadata)
    assert len(twins) > 20  # those without enums, domains, sequences and CHECKs
    for model, found in reals.items():
        assert found == postgresql.real(connection, None, model.name)
    for model, found in twins.items():
        assert found == postgresql.twin(connection, model)


def test_a_model_that_makes_no_table_keeps_no_other_from_being_read(connection):
    metadata = sa.MetaData()
    for name, default in (("fine", "1"), ("broken", "no_such_function()")):
        column = sa.Column("n", sa.Integer, server_default=sa.text(default))
        sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), column)
    metadata.tables["fine"].create(connection)
    reals, twins = postgresql.ahead(connection, list(metadata.tables.values()))
    assert [*reals[metadata.tables["fine"]].columns] == ["id", "n"]
    assert twins == {}
    assert connection.exec_driver_sql("SELECT count(*) FROM fine").scalar() == 0


def test_a_twin_sees_no_other_twin(connection):
    # were all of them there at once, the default would be that of the other's sequence
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("id", sa.Integer, primary_key=True))
    default = sa.text("nextval('a_id_seq')")
    b = sa.Table("b", metadata, sa.Column("id", sa.Integer, server_default=default))
    metadata.create_all(connection)
    reals, twins = postgresql.ahead(connection, list(metadata.tables.values()))
    assert twins[b].columns["id"].default == reals[b].columns["id"].default
