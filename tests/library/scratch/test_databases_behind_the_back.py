"""Somebody drops a column in the database itself, and adds one to the model a week later."""

import clients
import databases
from sqlalchemy import make_url

STUDENTS = """id: Mapped[int] = mapped_column(primary_key=True)
first_name: Mapped[str | None] = mapped_column(sa.Text)
last_name: Mapped[str | None] = mapped_column(sa.Text)
"""


def test_what_one_did_by_hand_does_not_break_the_database_of_another(any_database, url, twin):
    project = any_database
    project.model("students", STUDENTS)
    project.new_migration()
    project.db("upgrade").assert_ok()
    project.db("upgrade", DEV_DATABASE_URL=twin).assert_ok()  # a colleague's

    clients.run(url, "ALTER TABLE students DROP COLUMN last_name")
    project.model("students", STUDENTS + "age: Mapped[int | None]\n")
    written = project.new_migration()
    assert "add_age_to_students" in written.name
    assert "last_name" not in written.read_text()

    for each in (url, twin):
        project.db("upgrade", DEV_DATABASE_URL=each).assert_ok()
        clients.run(each, "INSERT INTO students (id, age) VALUES (1, 20)")
    assert clients.rows(twin, "SELECT last_name, age FROM students") == [(None, 20)]


def test_the_tables_of_others_on_the_server_are_never_seen(new_project, server, server_url):
    project = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    # as some hosts and old tutorials write it
    written = server_url.replace("postgresql://", "postgres://").replace(
        "mysql://", "mysql://" if databases.MYSQLD else "mariadb://"
    )
    project.env["DEV_DATABASE_URL"] = written
    project.model("mine", "id: Mapped[int] = mapped_column(primary_key=True)")
    with databases.fresh(server) as other:
        clients.run(other, "CREATE TABLE theirs (id INTEGER)", "INSERT INTO theirs VALUES (1)")
        clients.run(server_url, "CREATE TABLE beside (id INTEGER)")
        written = project.new_migration().read_text()
        assert "theirs" not in written and "beside" not in written
        project.db("upgrade").assert_ok()
        project.db("rebuild").assert_ok()
        assert clients.rows(other, "SELECT id FROM theirs") == [(1,)]
