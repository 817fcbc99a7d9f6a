"""A change of a type that would cut or round a value is refused on a server as it is on SQLite."""

import datetime

import databases
import pytest
import revising
from revising import KEY

NOON = datetime.datetime(2024, 1, 1, 12, 30)


@pytest.fixture(params=["postgresql", "mysql"])
def project(new_project, request):
    server = {"mysql": "mariadb"}.get(request.param, request.param)
    with databases.fresh(request.getfixturevalue(f"{server}_server")) as url:
        made = new_project(starter="bare", database=request.param)
        made.env["DEV_DATABASE_URL"] = url
        yield made


def changed(project, columns, rows):
    """Write a migration that changes the types of columns which hold some values."""
    for place in (0, 1):
        lines = [f"{name} = mapped_column({types[place]})\n" for name, *types in columns]
        project.model("note", KEY + "".join(lines))
        if place == 0:
            revising.applied(project)
            listed = ", ".join(name for name, *_ in columns)
            for row in rows:
                revising.execute(project, f"INSERT INTO note ({listed}) VALUES ({', '.join(row)})")
    return project.new_migration()


WHEN = ("d", "sa.DateTime()", "sa.Date()")
LOSING = [
    (WHEN, f"'{NOON}'", f"'{NOON.date()}'"),
    (("e", "sa.Numeric(10, 4)", "sa.Numeric(10, 2)"), "1.2345", "1.23"),
    (("f", "sa.Double()", "sa.Integer()"), "2.5", "3"),
    (("g", "sa.BigInteger()", "sa.Double()"), f"{2**53 + 1}", f"{2**53}"),
    (("h", "sa.Integer()", "sa.Boolean()"), "5", "1"),
]


def test_values_that_would_be_cut_stop_the_upgrade(project):
    columns, bad, good = zip(*LOSING, strict=True)
    changed(project, columns, [bad, good, ["NULL"] * len(columns)])
    query = "SELECT d, e, f, g, h FROM note ORDER BY id"
    before = revising.rows(project, query)
    for (name, *_), value in zip(columns, good, strict=True):
        answer = project.db("upgrade")
        answer.assert_one_sentence(f"note.{name} cannot", "1 of its rows", "in id 1", "op.execute")
        assert revising.rows(project, f"SELECT {name} FROM note WHERE id = 1") == [
            (before[0]["defgh".index(name)],)
        ]
        revising.execute(project, f"UPDATE note SET {name} = {value} WHERE id = 1")
    project.db("upgrade").assert_ok()
    revising.down_and_up(project)


@pytest.mark.one_of_each
@pytest.mark.parametrize(
    "said", ["# proof: note.d because noon is enough", "# lint: change-type because it is"]
)
def test_a_migration_that_says_why_may_cut(project, said):
    file = changed(project, [WHEN], [[f"'{NOON}'"]])
    file.write_text(file.read_text().replace("def upgrade():", f"def upgrade():\n    {said}", 1))
    project.db("upgrade").assert_ok()
    assert revising.rows(project, "SELECT d FROM note") == [(NOON.date(),)]


@pytest.mark.parametrize("project", ["postgresql"], indirect=True)
def test_a_conversion_of_ones_own_is_not_second_guessed(project):
    file = changed(project, [("v", "sa.Numeric(10, 2)", "sa.Integer()")], [["2.5"]])
    using = "type_=sa.Integer(), postgresql_using='v * 100'"
    file.write_text(file.read_text().replace("type_=sa.Integer()", using, 1))
    project.db("upgrade").assert_ok()
    assert revising.rows(project, "SELECT v FROM note") == [(250,)]
