"""A database of each kind."""

from contextlib import contextmanager

import databases
import pytest
import sqlalchemy as sa

from .compared import Bench


@contextmanager
def _bench(url):
    # one connection for a test: a new one has to read the catalogue from the start
    engine = databases.engine(url, sa.QueuePool)
    engine = engine.execution_options(isolation_level="READ COMMITTED")
    yield Bench(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def bench(request, tmp_path):
    """Each database in turn."""
    if request.param == "sqlite":
        yield Bench(sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}", poolclass=sa.NullPool))
        return
    with (
        databases.fresh(request.getfixturevalue(f"{request.param}_server")) as url,
        _bench(url) as made,
    ):
        yield made


@pytest.fixture
def sqlite_bench(tmp_path):
    return Bench(sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}", poolclass=sa.NullPool))
