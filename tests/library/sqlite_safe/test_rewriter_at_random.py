"""What holds for every migration: it stays itself, it says the same, it runs on SQLite."""

import ast
import tempfile
from pathlib import Path

from hypothesis import given, settings

from flask_keel.sqlite_safe import make_safe, scan
from flask_keel.sqlite_safe.rewriter import transform

from .generated_migrations import BEFORE, migrations
from .migrating import Database, assert_same_on_postgresql


@settings(max_examples=20, deadline=None)
@given(migrations())
def test_a_second_run_changes_nothing(made):
    source, _ = made
    once = make_safe(source)
    twice = make_safe(once.source)
    assert twice.source == once.source
    assert twice.notes == once.notes == []


@settings(max_examples=20, deadline=None)
@given(migrations())
def test_postgresql_is_told_the_same(made):
    source, _ = made
    assert_same_on_postgresql(source, make_safe(source).source, moved=True)


@settings(max_examples=20, deadline=None)
@given(migrations())
def test_no_line_but_those_of_operations_is_touched(made):
    source, _ = made
    after = make_safe(source).source
    assert sorted(others(after)) == sorted(others(source))


def others(source):
    """The lines that hold no operation, but for their indentation."""
    lines = [line.strip() for line in source.splitlines()]
    return [line for line in lines if line and "op." not in line]


@settings(max_examples=20, deadline=None)
@given(migrations())
def test_the_cheap_look_never_says_no_where_there_is_something_to_edit(made):
    source, _ = made
    tree = ast.parse(source)
    changed, notes = transform(source, tree, {})
    assert scan.worth_editing(tree) or (changed, notes) == (source, [])


@settings(max_examples=20, deadline=None)
@given(migrations())
def test_sqlite_comes_to_the_schema_that_the_operations_mean(made):
    source, tables = made
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder), BEFORE)
        database.upgrade(make_safe(source).source)
        schema = database.schema
    for table in tables:
        found = schema[table.name]
        columns = {name: nullable for name, (_, nullable, _) in found["columns"].items()}
        assert columns == {"id": True, **table.columns}
        assert {(i[0], i[1][0]) for i in found["indexes"]} == set(table.indexes.items())
        assert {(u[0], u[1][0]) for u in found["unique"]} == set(table.unique.items())
        assert {(k[0], k[1][0], k[2]) for k in found["foreign"]} == {
            (name, column, target) for name, (column, target) in table.foreign.items()
        }
