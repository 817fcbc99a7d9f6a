"""What PostgreSQL has beside its tables, through the commands: sequences, Identity, domains."""

import databases
import pytest
import sqlalchemy as sa
from revising import KEY, applied, assert_nothing_left, down_and_up, execute, rows


@pytest.fixture
def project(new_project, postgresql_server):
    """A fresh bare project on PostgreSQL."""
    with databases.fresh(postgresql_server) as url:
        made = new_project(starter="bare", database="postgresql")
        made.env["DEV_DATABASE_URL"] = url
        yield made


@pytest.mark.drill
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


COUNTED = "mapped_column(sa.Integer, sa.Identity())\n"
NULLABLE = "mapped_column(sa.Integer, nullable=True)\n"
COMPUTED = "mapped_column(sa.Integer, sa.Computed('id + 1', persisted=True))\n"


@pytest.mark.drill
@pytest.mark.parametrize(
    "before, after",
    [
        ("mapped_column(sa.String(9), nullable=False, server_default='7')\n", "BigInteger"),
        (NULLABLE, "Integer"),
        (NULLABLE, "BigInteger"),
        (COMPUTED, "Integer"),
    ],
)
def test_another_column_becomes_an_identity_and_is_again_what_it_was(project, before, after):
    project.model("ticket", f"{KEY}word: Mapped[str | None]\nnumber = {before}")
    applied(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    if before is NULLABLE:
        execute(project, "UPDATE ticket SET number = 2")
    found = rows(project, "SELECT * FROM ticket")
    counted = COUNTED.replace("Integer", after)
    project.model("ticket", f"{KEY}word: Mapped[str | None]\nnumber = {counted}")
    applied(project)
    execute(project, "INSERT INTO ticket DEFAULT VALUES")
    numbers = rows(project, "SELECT number FROM ticket ORDER BY id")
    assert numbers == [(int(found[0][2]),), (int(found[0][2]) + 1,)]
    assert_nothing_left(project)
    down_and_up(project)
    project.model("ticket", f"{KEY}word: Mapped[str | None]\nnumber = {before}")
    applied(project)
    down_and_up(project)
    assert rows(project, "SELECT * FROM ticket WHERE id = 1") == found


MAIL = """from sqlalchemy.dialects.postgresql import DOMAIN
mail: Mapped[str | None] = mapped_column(
    DOMAIN("Mail: 5%", sa.String(50), check=sa.text("VALUE <> 'it''s'"))
)
"""
TEXT = "mail: Mapped[str | None] = mapped_column(sa.String(50))\n"


@pytest.mark.drill
@pytest.mark.parametrize("before", [KEY + TEXT, KEY, None], ids=["changed", "new", "new table"])
def test_a_domain_is_made_before_its_column_and_goes_after_it(project, before):
    if before:
        project.model("thing", before)
        applied(project)
        execute(project, "INSERT INTO thing DEFAULT VALUES")
    project.model("thing", KEY + MAIL)
    file = applied(project).read_text()
    assert "CREATE DOMAIN" in file and "create_type=False" in file
    assert_nothing_left(project)
    execute(project, "INSERT INTO thing (mail) VALUES ('its')")
    with pytest.raises(sa.exc.IntegrityError):
        execute(project, "INSERT INTO thing (mail) VALUES ('it''s')")
    down_and_up(project)
    project.model("thing", KEY)
    applied(project)
    down_and_up(project)
    project.db("downgrade", "base").assert_ok()
    assert rows(project, "SELECT typname FROM pg_type WHERE typname = 'Mail: 5%'") == []


def test_a_domain_that_takes_no_null_is_no_not_null_of_its_column(project):
    """PostgreSQL's inspector takes the one for the other: a migration that was wanted for ever."""
    full = "DOMAIN('full', sa.Integer, not_null=True)"
    column = f"n: Mapped[int{{}}] = mapped_column({full}, server_default='1')\n"
    lead = KEY + MAIL.splitlines()[0] + "\n"
    project.model("thing", lead + column.format(" | None"))
    applied(project)
    execute(project, "INSERT INTO thing DEFAULT VALUES")
    assert_nothing_left(project)
    project.model("thing", lead + column.format(""))
    applied(project)
    assert_nothing_left(project)
    down_and_up(project)
