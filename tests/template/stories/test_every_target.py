"""Every target of a fresh project, in the order in which a person meets them."""

import installed
import projects
import pytest
from serving import chromium, free_port, get, served

pytestmark = pytest.mark.long
# it takes twice as long as with uv

COLUMN = "    subtitle: Mapped[str | None] = mapped_column(String(100))\n"


@pytest.fixture(params=["uv", pytest.param("pip", marks=pytest.mark.drill)])
def fresh(generated, tmp_path, request):
    """A project that nobody has used yet, on a machine with uv or without it."""
    folder = tmp_path / "it's 50% of mine"
    folder.mkdir()
    copy = projects.copy(generated(), folder)
    with_uv = request.param == "uv"
    path = installed.with_uv() if with_uv else installed.without_uv(tmp_path / "bin")
    project = installed.Installed(copy.path, copy.module, {"PATH": path, "SETTINGS": "prod.conf"})
    project.remember()
    return project


def test_every_target_of_a_fresh_project(fresh, tmp_path):
    used = set()

    def make(target, *arguments, **env):
        used.add(target)
        return fresh.make(target, *arguments, **env).assert_ok()

    assert fresh.make().assert_ok().out == make("help").out
    make("install")
    assert not fresh.database.exists()

    assert "is fresh: at 8b27e4a9c610" in make("db").err
    used.add("server")
    _look_at_the_posts(fresh, tmp_path)

    for target, text in (
        ("shell", "print(db.session.query(Post).count(), 'posts')"),
        ("dbshell", "SELECT count(*), 'posts' FROM post;"),
    ):
        used.add(target)
        typed = f"printf '%s\\n' \"$0\" | make {target}"
        answer = fresh.run("sh", "-c", typed, text).assert_ok()
        assert answer.out.replace("|", " ").count("2 posts") == 1

    make("lint")
    make("format")
    assert set(fresh.changes()) <= {"uv.lock"}, "a fresh project is formatted already"

    post = fresh.path / "my_app/models/post.py"
    post.write_text(post.read_text().replace("    author:", f"{COLUMN}\n    author:"))
    make("newmigration")
    (new,) = [name for name in fresh.changes() if "versions" in name]
    assert new.endswith("_add_subtitle_to_post.py")
    sql = make("upgrade-sql").out
    assert "subtitle" in sql and "Error" not in sql
    assert "upgrade" in make("migrate").err
    assert "subtitle" in fresh.columns("post")
    make("downgrade")
    assert "subtitle" not in fresh.columns("post")
    make("migrate")
    assert "the models and the history agree." in make("status").err
    make("backup")
    copy = max((fresh.path / "var" / "backups").glob("dev-*Z.db"))
    used.add("restore")
    assert "--yes" in fresh.make("restore", f"from={copy}").said, "who cannot be asked is not asked"
    assert "nothing to migrate" in make("newmigration").said
    assert "linted and proved" in make("check").err
    assert "one head" in make("rebase").said
    assert "| add subtitle to post |" in make("report", "markdown=1", "base=HEAD").out
    make("diagram")
    assert "VARCHAR(100) subtitle" in (fresh.path / "docs/schema.md").read_text()

    plain = fresh.write(
        "my_app/migrations/plain.py",
        "from alembic import op\n\n\ndef upgrade():\n    op.drop_column('post', 'subtitle')\n",
    )
    before = plain.read_text()
    used.add("sqlite-safe")
    file = "file=my_app/migrations/plain.py"
    assert fresh.make("sqlite-safe", file, "check=1").code != 0
    assert "+    with op.batch_alter_table" in fresh.make("sqlite-safe", file, "diff=1").out
    assert plain.read_text() == before
    make("sqlite-safe", file)
    assert "with op.batch_alter_table" in plain.read_text()
    make("sqlite-safe", file, "check=1")
    plain.unlink()

    make("update", f"from={projects.TEMPLATE}")

    _give_it_a_second_database(fresh, make)
    make("test")
    make("lint")
    make("install-prod")
    assert not (fresh.path / ".venv/bin/ruff").exists(), "a tool is left"
    pip = "uv pip" if (fresh.path / "uv.lock").exists() else "pip"
    fresh.typed(f"{pip} check").assert_ok()
    assert "nothing to do" in fresh.make("migrate").assert_ok().said
    make("clean")
    assert not (fresh.path / ".venv").exists()
    assert fresh.database.exists(), "clean leaves var/ alone"
    assert used == set(fresh.targets()), "a target was added: use it here"


LETTER = """from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db


class Letter(db.Model):
    __bind_key__ = "archive"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
"""
ITS_TEST = """from my_app.extensions import db
from my_app.models.letter import Letter


def test_a_letter_is_kept_beside_the_posts(app):
    db.session.add(Letter(name="an old one"))
    db.session.commit()
    assert db.session.query(Letter).count() == 1
"""


def _give_it_a_second_database(project, make):
    """The three steps of docs/commands.md, "A second database"."""
    for conf in ("dev", "test"):
        with (project.path / f"etc/conf/{conf}.conf").open("a") as file:
            file.write(f'SQLALCHEMY_BINDS = {{"archive": "sqlite:///var/{conf}-archive.db"}}\n')
    project.write("my_app/models/letter.py", LETTER)
    assert "binds/archive/versions" in make("newmigration").err
    make("migrate")
    make("downgrade", "bind=archive")
    assert "archive" in project.make("downgrade").assert_one_sentence("bind=NAME", code=2).err
    make("migrate", "bind=archive")
    make("check")
    assert "is fresh" in make("db", "bind=archive").err
    project.write("tests/test_letters.py", ITS_TEST)


def _look_at_the_posts(project, folder):
    port = free_port()
    command = ("make", "server", f"port={port}")
    with served(command, project.path, project.environment(), port) as url:
        assert get(f"{url}/readyz")[0] == 200
        with chromium(folder / "browser") as window:
            window.get(url)
            assert window.title == "my-app"
            assert window.find_element("tag name", "h1").text == "Posts"
            (article,) = window.find_elements("tag name", "article")
            assert article.text.splitlines() == ["Hello", "Ada, 2026-01-01", "The first post."]
            width = window.find_element("tag name", "body").value_of_css_property("max-width")
            assert width != "none", "the style sheet was not served"
