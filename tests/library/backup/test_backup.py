"""`db backup` and `db restore`: what is kept, what is asked, what is refused, and all of it comes back."""

import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import clients
import projects
import pytest
from revising import KEY, at_terminal

ITEM = KEY + "name: Mapped[str] = mapped_column(sa.String(200))\nblob: Mapped[bytes | None]\n"
FIRST = """op.create_table(
    "item",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("blob", sa.LargeBinary),
    sa.PrimaryKeyConstraint("id", name="pk_item"),
    mysql_charset="utf8mb4",
)
op.execute("CREATE VIEW seen AS SELECT id, name FROM item WHERE id > 1")"""
SECOND = """op.add_column("item", sa.Column("age", sa.Integer))
op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
op.execute("CREATE VIEW latest AS SELECT id, age FROM item")
op.execute("UPDATE item SET name = 'lost'")"""
BACK = """op.execute("DROP VIEW latest")
op.drop_table("later")
op.drop_column("item", "age")"""
NAMES = [
    "a 'quote' and \"two\"",
    "back\\slash; -- no comment",
    "\u00e4 \u65e5\u672c \U0001f600",
    "100 %% of it",
]
NAME = re.compile(r"(?P<at>[^-]+)-\d{8}T\d{6}\.\d{3}Z(?P<replaced>\.replaced)?\.(db|dump|sql)")


def prepare(project, url):
    """Bring a project to its first of two revisions, with rows of odd letters and bytes."""
    project.model("item", ITEM)
    project.migration("aaaa00000001", None, FIRST)
    project.migration("aaaa00000002", "aaaa00000001", SECOND, BACK)
    project.db("upgrade", "aaaa00000001").assert_ok()
    for number, name in enumerate(NAMES, 1):
        quoted = name.replace("'", "''")
        quoted = quoted.replace("\\", "\\\\") if url.startswith("mysql") else quoted
        blob = "decode('00ff5c27', 'hex')" if url.startswith("postgres") else "x'00ff5c27'"
        clients.run(url, f"INSERT INTO item VALUES ({number}, '{quoted}', {blob})")
    return project


@pytest.fixture
def project(any_database, url):
    return prepare(any_database, url)


@pytest.fixture(scope="module")
def prepared(generated, tmp_path_factory):
    made = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("prepared"))
    return prepare(made, f"sqlite:///{made.database}")


def folder(project) -> Path:
    return project.path / "var" / "backups"


def kept(project, replaced=False) -> list[Path]:
    """The copies, the oldest first."""
    found = [path for path in folder(project).iterdir() if not path.name.startswith(".git")]
    matches = {path: NAME.search(path.name) for path in found}
    assert all(matches.values()), found
    chosen = [path for path, match in matches.items() if bool(match["replaced"]) == replaced]
    return sorted(chosen, key=lambda path: path.name.rsplit("-", 1)[1])


def rows(url: str) -> list[tuple]:
    return clients.rows(url, "SELECT * FROM item ORDER BY id")


def test_what_was_copied_comes_back_and_what_it_replaces_is_kept(project, url):
    before, had = clients.dump(url), rows(url)
    answer = project.db("backup").assert_ok()
    (copy,) = kept(project)
    assert answer.out.strip() == str(copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert NAME.search(copy.name)["at"] == "aaaa00000001"

    project.db("upgrade").assert_ok()
    clients.run(url, "DELETE FROM item WHERE id = 1", "INSERT INTO later VALUES (7)")
    after = clients.dump(url)
    project.db("restore", "--yes").assert_ok()
    assert clients.dump(url) == before
    assert rows(url) == had
    assert "aaaa00000001" in project.db("current").assert_ok().out

    (replaced,) = kept(project, replaced=True)
    assert replaced.stat().st_mode & 0o777 == 0o600
    assert NAME.search(replaced.name)["at"] == "aaaa00000002"
    project.db("restore", "--yes", str(replaced)).assert_ok()
    assert clients.dump(url) == after
    # what is there is whole: the next migration finds its place
    project.db("downgrade").assert_ok()
    project.db("upgrade").assert_ok()
    assert sorted(folder(project).glob(".*")) == []


def test_nobody_is_asked_where_nobody_is_and_nothing_is_touched(project, url):
    project.db("backup").assert_ok()
    clients.run(url, "DELETE FROM item")
    before = clients.dump(url)
    project.db("restore").assert_one_sentence("nobody is here to be asked", "db restore --yes")
    assert clients.dump(url) == before
    assert kept(project, replaced=True) == []


class TestOnSqlite:
    """What does not depend on the kind of database."""

    @pytest.fixture
    def project(self, prepared, tmp_path):
        return projects.copy(prepared, tmp_path)

    @pytest.fixture
    def url(self, project):
        return f"sqlite:///{project.database}"

    def test_at_a_terminal_it_says_what_goes_and_what_comes_and_asks(self, project, url):
        project.db("backup").assert_ok()
        project.db("upgrade").assert_ok()
        clients.run(url, "DELETE FROM item WHERE id = 1")
        before = clients.dump(url)
        command = (*project.manage, "db", "restore")
        left = at_terminal(project, *command, keys=["n\n"])
        assert left.code == 1 and "nothing was changed" in left.said
        assert clients.dump(url) == before
        assert f"{project.database}: at aaaa00000002, 3 rows" in left.said
        assert ".db: at aaaa00000001, 4 rows" in left.said
        done = at_terminal(project, *command, keys=["y\n"])
        assert done.code == 0, done.said
        assert len(rows(url)) == 4

    def test_the_newest_stay_and_no_other_databases_are_counted(self, project, url):
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write("MIGRATION_BACKUPS = 2\n")
        folder(project).mkdir()
        strangers = ["dev2-aaaa00000001-20200101T000000.000Z.db", "dev-notes.db", "dev.replaced.db"]
        for name in strangers:
            (folder(project) / name).write_text("somebody's")
        made = []
        for _ in range(3):
            made.append(project.db("backup").assert_ok().out.strip())
        there = {path.name for path in folder(project).iterdir()}
        assert there == {*strangers, *(Path(path).name for path in made[1:])}
        # the one that is given back is not the one that goes
        for _ in range(3):
            project.db("restore", "--yes", made[1]).assert_ok()
        assert Path(made[1]).exists()
        assert len(list(folder(project).glob("*-*.replaced.db"))) == 2

    def test_a_copy_goes_where_it_is_told_and_over_nothing(self, project, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        target = other / "mine.db"
        assert project.db("backup", "--to", str(target)).assert_ok().out.strip() == str(target)
        assert target.stat().st_mode & 0o777 == 0o600
        again = project.db("backup", "--to", str(target))
        again.assert_one_sentence("mine.db is there already")
        project.db("backup", "--to", str(other)).assert_ok()
        assert len(list(other.iterdir())) == 2
        nowhere = project.db("backup", "--to", str(other / "no" / "mine.db"))
        nowhere.assert_one_sentence("does not exist", "mkdir -p")
        assert not folder(project).exists()
        project.db("restore").assert_one_sentence("There is no backup", "db backup")
        project.db("restore", "--yes", str(target)).assert_ok()

    @pytest.mark.parametrize(
        "what, words",
        {
            "letter": "no whole SQLite database",
            "empty": "holds no alembic_version",
            "cut": "no whole SQLite database|is damaged",
            "a byte short": "is cut short",
            "scribbled": "no whole SQLite database|is damaged",
            "no record": "holds no alembic_version",
            "unknown": "revision ffff00000009, which no file",
            "stranger": "no table of this application",
            "itself": "is the database itself",
            "missing": "There is no file",
        }.items(),
    )
    def test_what_is_no_backup_of_this_application_is_refused(self, project, url, what, words):
        clients.run(
            url,
            *(f"INSERT INTO item VALUES ({n}, hex(randomblob(90)), NULL)" for n in range(9, 99)),
        )
        file = Path(project.db("backup").assert_ok().out.strip())
        content = file.read_bytes()
        match what:
            case "letter":
                file.write_bytes(b"a letter to my aunt" * 400)
            case "empty":
                file.write_bytes(b"")
            case "cut":
                file.write_bytes(content[: len(content) // 2])
            case "a byte short":
                file.write_bytes(content[:-1])
            case "scribbled":
                page = content.rfind(b"\r", 0, len(content) - 4096) // 4096 * 4096
                file.write_bytes(content[:page] + b"\xff" * 64 + content[page + 64 :])
            case "itself":
                file = project.database
            case "missing":
                file = file.with_name("elsewhere.db")
            case _:
                with closing(sqlite3.connect(file)) as raw:
                    if what == "no record":
                        raw.execute("DROP TABLE alembic_version")
                    elif what == "unknown":
                        raw.execute("UPDATE alembic_version SET version_num = 'ffff00000009'")
                    else:
                        raw.execute("DROP VIEW seen")
                        raw.execute("ALTER TABLE item RENAME TO strangers")
                    raw.commit()
        before = clients.dump(url)
        answer = project.db("restore", "--yes", str(file))
        answer.assert_one_sentence()
        assert re.search(words, answer.err), answer.err
        assert clients.dump(url) == before
        assert kept(project, replaced=True) == []

    @pytest.mark.parametrize("value", ["0", "-1", "'5'", "True"])
    def test_a_number_of_backups_that_is_none(self, project, value):
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write(f"MIGRATION_BACKUPS = {value}\n")
        project.db("backup").assert_one_sentence("MIGRATION_BACKUPS is", "such as 5")
        assert not folder(project).exists()

    def test_always_copies_before_each_upgrade_and_downgrade_that_does_something(
        self, project, url
    ):
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write("MIGRATION_BACKUP = 'always'\n")
        had = rows(url)
        said = project.db("upgrade").assert_ok().err
        (first,) = kept(project)
        assert str(first) in said and NAME.search(first.name)["at"] == "aaaa00000001"
        assert rows(f"sqlite:///{first}") == had
        project.db("upgrade").assert_ok()
        project.db("upgrade", "heads").assert_ok()
        assert kept(project) == [first]
        project.db("downgrade").assert_ok()
        assert [NAME.search(path.name)["at"][-1] for path in kept(project)] == ["1", "2"]
        project.database.unlink()
        project.db("upgrade").assert_ok()
        assert len(kept(project)) == 2

    @pytest.mark.parametrize("value", ["never", "auto", "sometimes"])
    def test_what_the_setting_says_is_done(self, project, value):
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write(f"MIGRATION_BACKUP = {value!r}\n")
        ask = (
            "from my_app import create_app; from flask import current_app\n"
            "from flask_keel import backup; from flask_keel.project import Project\n"
            "with create_app('dev.conf').app_context():\n"
            "    config = current_app.extensions['migrate'].migrate.get_config()\n"
            "    for losing in (False, True):\n"
            "        print(bool(backup.before(Project.of(current_app, config), 'why', losing=losing)))\n"
        )
        answer = project.warm(sys.executable, "-c", ask, PYTHONPATH=str(project.path))
        if value == "sometimes":
            assert "MIGRATION_BACKUP is 'sometimes': write \"auto\"" in answer.err
            project.db("upgrade").assert_one_sentence('"auto", "always" or "never"')
            assert "aaaa00000001" in project.db("current").assert_ok().out
        else:
            assert answer.assert_ok().out.split() == ["False", str(value == "auto")]

    def test_without_var_they_lie_beside_the_file_and_out_of_git(self, project, tmp_path):
        home = tmp_path / "data"
        home.mkdir()
        shutil.copy(project.database, home / "app.db")
        moved = project.path.with_name("moved")
        project.path.rename(moved)
        project.path = moved
        url = f"sqlite:///{home / 'app.db'}"
        conf = "import os\nSECRET_KEY = 'x' * 40\nSQLALCHEMY_DATABASE_URI = os.environ['DATABASE_URL']\n"
        (moved / "etc" / "conf" / "prod.conf").write_text(conf)
        shutil.rmtree(moved / "var")
        made = Path(
            project.db("backup", SETTINGS="prod.conf", DATABASE_URL=url).assert_ok().out.strip()
        )
        assert made.parent == home / "backups"
        assert made.name.startswith("app-aaaa00000001-")
        assert (made.parent / ".gitignore").read_text() == "*\n"

    def test_two_files_of_one_name_do_not_take_each_others_copies(self, project, url, tmp_path):
        other = tmp_path / "dev.db"
        shutil.copy(project.database, other)
        env = {"DEV_DATABASE_URL": f"sqlite:///{other}"}
        theirs = project.db("backup", **env).assert_ok().out.strip()
        assert Path(theirs).parent == folder(project)
        project.db("restore", "--yes").assert_one_sentence("There is no backup")
        project.db("restore", "--yes", **env).assert_ok()

    def test_memory_has_nothing_to_copy(self, project):
        project.db("backup", DEV_DATABASE_URL="sqlite://").assert_one_sentence("in memory")
        project.database.unlink()
        project.db("backup").assert_one_sentence("There is no database")


@pytest.mark.drill
@pytest.mark.xdist_group("installed")
def test_make_copies_the_database_and_gives_it_back(application):
    application.typed("make migrate").assert_ok()
    url = f"sqlite:///{application.database}"
    clients.run(url, "INSERT INTO user (id, name, email) VALUES (77, 'kept', 'k@x')")
    made = application.typed("make backup").assert_ok().out.strip()
    clients.run(url, "DELETE FROM user")
    asked = ["env", "-C", str(application.path), "make", "restore", f"from={made}"]
    answer = at_terminal(application, *asked, keys=["y\n"])
    assert answer.code == 0, answer.said
    assert clients.rows(url, "SELECT name FROM user WHERE id = 77") == [("kept",)]
