"""On SQLite the history is run once: what it makes is kept in var/cache."""

COUNT = """
from pathlib import Path
with Path({file!r}).open("a") as ran:
    ran.write("x")
op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True))
"""
ID = "id: Mapped[int] = mapped_column(primary_key=True)"


def counted(project, revision, down, table):
    """A migration that makes a table and counts how often it ran."""
    file = project.path / f"{table}.ran"
    path = project.migration(
        revision, down, COUNT.format(file=str(file), table=table), f"op.drop_table({table!r})"
    )
    project.model(table, ID)
    return path, lambda: len(file.read_text()) if file.exists() else 0


def test_a_history_that_did_not_change_is_run_once(bare):
    _, times = counted(bare, "a1", None, "first")
    for _ in range(3):
        bare.db("schema").assert_ok()
    assert times() == 1


def test_a_migration_that_changed_is_run_again(bare):
    path, times = counted(bare, "a1", None, "first")
    bare.db("schema").assert_ok()
    path.write_text(path.read_text() + "\n# changed\n")
    bare.db("schema").assert_ok()
    assert times() == 2


def test_what_stands_before_a_new_migration_is_not_run_again(bare):
    _, first = counted(bare, "a1", None, "first")
    bare.db("schema").assert_ok()
    _, second = counted(bare, "b2", "a1", "second")
    bare.db("schema").assert_ok()
    assert (first(), second()) == (1, 1)


def test_what_stands_after_a_changed_migration_is_run_again(bare):
    path, _ = counted(bare, "a1", None, "first")
    _, second = counted(bare, "b2", "a1", "second")
    bare.db("schema").assert_ok()
    path.write_text(path.read_text() + "\n# changed\n")
    bare.db("schema").assert_ok()
    assert second() == 2


def test_a_module_that_a_migration_imports_counts_as_part_of_it(bare):
    path, times = counted(bare, "a1", None, "first")
    helper = bare.write("my_app/helper.py", "LENGTH = 1\n")
    path.write_text(
        path.read_text().replace("import sqlalchemy", "import my_app.helper\nimport sqlalchemy")
    )
    bare.db("schema").assert_ok()
    helper.write_text("LENGTH = 2\n")
    bare.db("schema").assert_ok()
    assert times() == 2


def test_a_kept_database_that_is_damaged_is_made_again(bare):
    _, times = counted(bare, "a1", None, "first")
    bare.db("schema").assert_ok()
    for file in (bare.path / "var" / "cache").glob("*.db"):
        file.write_bytes(b"not a database")
    bare.db("schema").assert_ok()
    assert times() == 2


def test_what_somebody_did_to_the_development_database_is_not_kept(bare):
    counted(bare, "a1", None, "first")
    bare.db("upgrade").assert_ok()
    bare.run("sqlite3", str(bare.database), "DROP TABLE first").assert_ok()
    bare.db("schema").assert_ok()
