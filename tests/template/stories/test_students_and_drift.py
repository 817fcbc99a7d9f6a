"""A tutorial's students: a column that somebody dropped by hand must not get into a migration."""

import projects
import pytest

from .rows import columns, sql

IDENTITY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
FIRST = "first_name: Mapped[str | None] = mapped_column(sa.Text)\n"
LAST = "last_name: Mapped[str | None] = mapped_column(sa.Text)\n"
AGE = "age: Mapped[int | None]\n"


@pytest.fixture
def school(bare):
    bare.model("students", IDENTITY + FIRST + LAST)
    return bare


def test_the_first_migration_has_the_message_in_its_name_and_makes_no_database(school):
    file = school.new_migration("-m", "create student table")
    assert file.name.endswith("_create_student_table.py")
    assert not school.database.exists()
    school.db("upgrade").assert_ok()
    assert columns(school.database, "students") == ["id", "first_name", "last_name"]


def test_a_column_dropped_by_hand_does_not_come_back_in_the_next_migration(school, tmp_path):
    school.new_migration("-m", "create student table")
    school.db("upgrade").assert_ok()
    sql(school.database, "INSERT INTO students (first_name, last_name) VALUES ('Ada', 'Lovelace')")
    (tmp_path / "hers").mkdir()
    colleague = projects.copy(school, tmp_path / "hers")

    sql(school.database, "ALTER TABLE students DROP last_name")
    school.model("students", IDENTITY + FIRST + LAST + AGE)
    file = school.new_migration()
    assert file.name.endswith("_add_age_to_students.py")
    assert "last_name" not in file.read_text()
    school.db("upgrade").assert_ok()

    # she has applied the first migration and not the second
    colleague.versions.joinpath(file.name).write_text(file.read_text())
    colleague.db("upgrade").assert_ok()
    assert sql(colleague.database, "SELECT first_name, last_name, age FROM students") == [
        ("Ada", "Lovelace", None)
    ]


def test_down_twice_and_up_again_is_no_trouble(school):
    school.new_migration("-m", "create student table")
    school.model("students", IDENTITY + FIRST + LAST + AGE)
    school.new_migration()
    school.db("upgrade").assert_ok()
    school.db("downgrade").assert_ok()
    school.db("downgrade").assert_ok()
    assert columns(school.database, "students") == []
    school.db("upgrade").assert_ok()
    assert columns(school.database, "students") == ["id", "first_name", "last_name", "age"]


def test_the_proper_way_to_drop_a_column_keeps_the_others(school):
    school.new_migration("-m", "create student table")
    school.db("upgrade").assert_ok()
    sql(school.database, "INSERT INTO students (first_name, last_name) VALUES ('Ada', 'Lovelace')")
    school.model("students", IDENTITY + FIRST)
    file = school.new_migration()
    assert file.name.endswith("_drop_students_last_name.py")
    school.db("upgrade").assert_ok()
    assert sql(school.database, "SELECT * FROM students") == [(1, "Ada")]
    school.db("downgrade").assert_ok()
    assert sql(school.database, "SELECT * FROM students") == [(1, "Ada", None)]
