"""Which databases an application has, and what the configuration and the models say of them."""

import json
import sqlite3
import sys
from contextlib import closing

import pytest
from several import ARCHIVE, NAMED, archived, ask, configure, files, head


@pytest.fixture
def project(two_databases):
    return two_databases


def without(project, name):
    (project.package / "models" / f"{name}.py").unlink()


def says(project, line):
    """Say of the binds what this line says, in the place of what was said."""
    conf = project.path / "etc/conf/dev.conf"
    kept = [it for it in conf.read_text().splitlines() if not it.startswith("SQLALCHEMY_BINDS")]
    conf.write_text("\n".join([*kept, line, ""]))


ALIKE = [
    "upgrade",
    *(
        pytest.param(it, marks=pytest.mark.drill)
        for it in ("migrate", "status", "check", "rebuild")
    ),
]


@pytest.mark.parametrize("command", ALIKE)
def test_a_model_whose_bind_has_no_url_is_a_sentence(project, command):
    says(project, "")
    said = project.db(command).assert_one_sentence(
        "letter (__bind_key__ archive)", "SQLALCHEMY_BINDS"
    )
    assert "dev.conf" in said.err


WRONG = [
    ('SQLALCHEMY_BINDS = {"archive": None}', "gives the bind archive no URL"),
    ('SQLALCHEMY_BINDS = {"archive": {"echo": False}}', "DATABASE_URL_ARCHIVE"),
    ('SQLALCHEMY_BINDS = "sqlite:///var/archive.db"', "give a dictionary"),
    (
        'SQLALCHEMY_BINDS = {"archive": "sqlit:///var/archive.db"}',
        "There is no driver for sqlit",
    ),
    ('MIGRATION_LOCK_WAIT = {"archiv": 5}', "MIGRATION_LOCK_WAIT names archiv"),
    ('ZERO_DOWNTIME = {"archive": "yes"}', "give True or False"),
]


def test_what_the_configuration_says_wrongly_is_a_sentence(project):
    conf = project.path / "etc/conf/dev.conf"
    right = conf.read_text()
    for line, words in WRONG:
        if line.startswith("SQLALCHEMY_BINDS"):
            says(project, line)
        else:
            configure(project, f"{line}\n")
        said = project.db("current")
        assert words in said.err and "Traceback" not in said.err, said.err
        conf.write_text(right)


def test_an_unknown_bind_is_a_sentence(project):
    project.db("upgrade", "--bind", "archiv").assert_one_sentence(
        "no bind archiv", "default, archive"
    )
    says(project, 'SQLALCHEMY_BINDS = {"archive": "sqlite:///var/archive.db", "more": "sqlite://"}')
    project.db("upgrade", "--bind", "more").assert_one_sentence("more has no model")
    said = project.db("check").assert_ok().err
    assert "The bind more has no model (__bind_key__) and no migration" in said


def test_a_bind_that_no_folder_can_be_called_by_is_a_sentence(project):
    for name in ("a/b", "default"):
        says(project, f'SQLALCHEMY_BINDS = {{{name!r}: "sqlite:///var/archive.db"}}')
        project.model("letter", f"__bind_key__ = {name!r}\n{NAMED}")
        project.db("upgrade").assert_one_sentence(f"key {name!r}", "letters, digits")


def test_an_application_without_binds_takes_the_option(bare):
    bare.db("upgrade", "--bind", "default").assert_ok()
    bare.db("upgrade", "--bind", "archive").assert_one_sentence("There is no bind archive")


def test_a_bind_that_goes_away_is_said_and_its_database_is_not_touched(project):
    before = (project.path / "var/archive.db").read_bytes()
    says(project, "")
    without(project, "letter")
    for command in ("migrate", "check", "status"):
        said = project.db(command).assert_ok().err
        assert "archive is no bind any more" in said and "not touched" in said
    project.db("upgrade").assert_ok()
    assert (project.path / "var/archive.db").read_bytes() == before
    project.db("upgrade", "-d", str(archived(project))).assert_one_sentence("no bind archive")


def test_where_the_env_py_of_the_default_is_gone_no_bind_is_migrated_in_its_database(project):
    (project.package / "migrations/env.py").unlink()
    for name in ("dev", "archive"):
        (project.path / f"var/{name}.db").unlink()
    stopped = project.db("upgrade", "-d", str(archived(project)))
    stopped.assert_one_sentence("migrations/env.py: No such file")
    assert not project.database.exists()


def test_a_model_that_goes_to_another_bind_leaves_its_rows_which_is_said(project):
    project.model("letter", NAMED)
    said = project.db("migrate").assert_ok().err
    assert "letter goes from archive to default, and its rows are not moved" in said
    assert "make migrate bind=default" in said
    project.db("upgrade", "--bind", "default").assert_ok()
    assert ask(project, "dev", "SELECT * FROM letter") == []


def test_a_key_from_one_database_to_another_is_refused_and_nothing_is_written(project):
    before = files(project)
    project.model(
        "letter", ARCHIVE + NAMED + 'by: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))'
    )
    for command in ("migrate", "check"):
        refused = project.db(command).assert_one_sentence("letter.by (archive)", "person (default)")
        assert "__bind_key__" in refused.err
    assert files(project) == before


RELATED = """by: Mapped[int | None]
person = sa.orm.relationship("Person", {how})
"""
JOINED = 'primaryjoin="foreign(Letter.by) == Person.id"'


def test_a_relationship_from_one_database_to_another_is_said(project):
    project.model("letter", ARCHIVE + NAMED + RELATED.format(how=JOINED))
    said = project.db("migrate").assert_ok().err
    assert "Letter.person leads from archive to default" in said
    project.model("letter", ARCHIVE + NAMED + RELATED.format(how=""))
    project.db("migrate").assert_one_sentence("Letter.person", "no key leads")


def test_a_bind_that_is_left_out_is_touched_by_no_command_and_status_says_so(project):
    project.replace("my_app/extensions.py", "    db=db,\n", "    db=db,\n    binds=[],\n")
    project.model("letter", ARCHIVE + NAMED + "read: Mapped[bool]\n")
    before = (project.path / "var/archive.db").read_bytes()
    for command in ("upgrade", "check"):
        assert "archive" not in project.db(command).assert_ok().said
    said = project.db("status").assert_ok()
    assert "archive is left out" in said.err
    project.db("upgrade", "--bind", "archive").assert_one_sentence("archive is left out")
    assert (project.path / "var/archive.db").read_bytes() == before
    project.replace("my_app/extensions.py", "binds=[]", 'binds=["archiv"]')
    project.db("upgrade").assert_one_sentence("Keel's binds= names archiv")


@pytest.mark.parametrize(
    "link", [pytest.param("symlink_to", marks=pytest.mark.drill), "hardlink_to"]
)
def test_two_binds_that_are_one_database_are_refused(project, link):
    """Asked of the database: the two URLs have nothing in common."""
    archive = project.path / "var/archive.db"
    archive.unlink()
    getattr(archive, link)(project.database)
    said = project.db("upgrade").assert_one_sentence("default and archive", "one and the same")
    assert "alembic_version" in said.err
    assert head(project) in project.db("current", "--bind", "default").out


def test_a_setting_is_a_databases_own(project):
    configure(project, 'MIGRATION_LOCK_WAIT = {"archive": 0, "default": 30}\n')
    project.model("person", NAMED + "age: Mapped[int | None]\n")
    project.model("letter", ARCHIVE + NAMED + "age: Mapped[int | None]\n")
    project.db("migrate").assert_ok()
    before = head(project)
    with closing(sqlite3.connect(project.path / "var/archive.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        stopped = project.db("upgrade").assert_one_sentence("archive.db is locked")
    assert head(project) != before and "archive that stopped" in stopped.err
    configure(project, "MIGRATION_LOCK_WAIT['default'] = 'long'\n")
    project.db("upgrade").assert_one_sentence("MIGRATION_LOCK_WAIT is 'long'")


REACHES = """def upgrade():
    from flask_keel import is_rehearsal
    from my_app.extensions import db
    if {asks}:
        with db.engines["archive"].begin() as other:
            other.exec_driver_sql("INSERT INTO letter (name) VALUES ('from afar')")
"""


def test_a_rehearsal_reaches_no_database_of_the_application(project):
    made = project.new_migration("-x", "empty=1", "--bind", "default")
    whole = made.read_text()
    for asks in ("True", "not is_rehearsal()"):
        made.write_text(whole.replace("def upgrade():\n", REACHES.format(asks=asks)))
        said = project.db("check", "--bind", "default")
        refused = "another database of the application" in said.err and "is_rehearsal()" in said.err
        assert refused == (asks == "True"), said.said
        assert ask(project, "archive", "SELECT * FROM letter") == []
    project.db("upgrade").assert_ok()
    assert ask(project, "archive", "SELECT name FROM letter") == [("from afar",)]


READY = """import json
from my_app import create_app
client = create_app("dev.conf").test_client()
answer = client.get("/readyz")
print(json.dumps([answer.status_code, answer.json]), client.get("/").status_code)
"""


def test_readyz_and_the_page_of_what_is_pending_know_all_of_them(project):
    def ask_it():
        ran = project.warm(sys.executable, "-c", READY, PYTHONPATH=str(project.path)).assert_ok()
        answer, _, page = ran.out.rpartition(" ")
        return (*json.loads(answer), int(page))

    fine = {"database": "ok", "schema": "at head"}
    assert ask_it() == (200, {**fine, "binds": {"archive": fine}}, 200)
    project.db("downgrade", "--bind", "archive", "--yes").assert_ok()
    behind = {"database": "ok", "schema": "behind"}
    assert ask_it() == (503, {**fine, "binds": {"archive": behind}}, 503)
    (project.path / "var/archive.db").unlink()
    assert ask_it()[:2] == (503, {**fine, "binds": {"archive": {"database": "unreachable"}}})
    project.db("wait", "--timeout", "0.1").assert_one_sentence("archive.db", "does not answer")
    project.db("wait", "--bind", "default").assert_ok()
