"""PostgreSQL's numbers through the commands: sequences of the models' own, and Identity."""

import databases
import pytest
from revising import KEY, applied, assert_nothing_left, down_and_up, execute, rows


@pytest.fixture
def project(new_project, postgresql_server):
    """A fresh bare project on PostgreSQL."""
    with databases.fresh(postgresql_server) as url:
        made = new_project(starter="bare", database="postgresql")
        made.env["DEV_DATABASE_URL"] = url
        yield made


def test_a_sequence_is_made_before_its_next_value_is_a_default(project):
    project.model("ticket", KEY)
    applied(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    sequence = "numbers = sa.Sequence('Ticket: 5%', start=100)\n"
    number = "number: Mapped[int] = mapped_column(server_default=numbers.next_value())\n"
    project.model("ticket", KEY + sequence + number)
    assert "CREATE SEQUENCE" in applied(project).read_text()
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    assert rows(project, "SELECT number FROM ticket ORDER BY id") == [(100,), (101,)]
    assert_nothing_left(project)
    down_and_up(project)
    other = "bills = sa.Sequence('bills')\n"
    number = "number: Mapped[int] = mapped_column(server_default=bills.next_value())\n"
    project.model("bill", KEY + other + number)
    applied(project)
    down_and_up(project)


def test_a_serial_becomes_an_identity(project):
    project.model("ticket", KEY)
    applied(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES", "INSERT INTO ticket DEFAULT VALUES")
    project.model("ticket", KEY.replace("primary_key", "sa.Identity(always=True), primary_key"))
    applied(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    assert rows(project, "SELECT id FROM ticket ORDER BY id") == [(1,), (2,), (3,)]
    assert_nothing_left(project)
    down_and_up(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    assert rows(project, "SELECT max(id) FROM ticket") == [(4,)]
