"""What the tests of the post-generation script share."""

import pytest
from alembic.ddl import impl
from alembic.ddl.sqlite import SQLiteImpl

from .migrating import Database, assert_same_on_postgresql, safe, schema_of


@pytest.fixture
def up_and_down(tmp_path):
    """Make a text safe, run it up and down, and hold each schema against the SQL that it means."""

    def check(source, before, after, *, moved=False, compare=True):
        text = safe(source)
        if compare:
            assert_same_on_postgresql(source, text, moved=moved)
        folder = tmp_path / "migrated"
        folder.mkdir()
        database = Database(folder, before)
        start = database.schema
        database.upgrade(text)
        assert database.schema == schema_of(tmp_path / "after", after)
        database.downgrade(text)
        assert database.schema == start
        database.upgrade(text)
        return text

    return check


@pytest.fixture(autouse=True)
def stock_alembic(monkeypatch):
    """What the script writes is for stock Alembic: another test may have registered the library's engine."""
    monkeypatch.setitem(impl._impls, "sqlite", SQLiteImpl)
