"""What a person, or a machine, reads when a migration is written."""

import json
import os
import pty
import re
import subprocess

import pytest

CHANGE = "    subtitle: Mapped[str | None] = mapped_column(String(200))\n    summary:"


def add_subtitle(project):
    project.replace("my_app/models/post.py", "    summary:", CHANGE)


def drop_summary(project):
    old = "    summary: Mapped[str | None] = mapped_column(String(500))\n"
    project.replace("my_app/models/post.py", old, "")


def test_it_fits_a_screen_and_says_what_to_type_next(blog):
    add_subtitle(blog)
    said = blog.db("migrate").assert_ok()
    lines = said.err.splitlines()
    assert lines[0] == "  add subtitle to post"
    assert re.fullmatch(r"  my_app/migrations/versions/\w{12}_add_subtitle_to_post\.py", lines[1])
    assert "  lint: nothing to say" in lines
    assert "  my_app/migrations/schema/sqlite.sql" in lines
    assert lines[-1] == "Next: read the file, then type make migrate (db upgrade)."
    assert len(lines) <= 8
    assert said.out == ""


@pytest.mark.drill
def test_where_a_locale_lacks_a_letter_sql_and_json_are_utf8_and_the_rest_is_escaped(blog):
    path = blog.migration("f00d00000001", "8b27e4a9c610", "pass")
    path.write_text(path.read_text().replace("by hand", "größe 更大"))
    said = {}
    for command in ("upgrade --sql", "upgrade", "status --json", "log --json", "log"):
        stdin, environment = subprocess.DEVNULL, blog.environment(PYTHONIOENCODING="latin-1")
        called = [*blog.manage, "db", *command.split()]
        ran = subprocess.run(
            called, cwd=blog.path, env=environment, stdin=stdin, capture_output=True
        )
        assert ran.returncode == 0, ran.stderr
        said[command] = ran.stdout
    for command in ("upgrade --sql", "log --json"):
        assert "größe 更大" in said[command].decode()
    assert "größe \\u66f4\\u5927" in said["log"].decode("latin-1")


def test_alembics_own_progress_is_quiet(blog):
    add_subtitle(blog)
    said = blog.db("migrate").assert_ok().said + blog.db("revision", "-m", "begun").assert_ok().said
    for word in ("Generating", "done", "post write hook", "FAILED"):
        assert word not in said


def test_a_finding_is_said_and_the_file_stays(blog):
    drop_summary(blog)
    said = blog.db("migrate").assert_ok()
    assert re.search(
        r"line \d+: drops post.summary and its values \[drop-column, loses data\]", said.err
    )
    assert "a downgrade brings back the column, not the values" in said.err
    assert len(list(blog.versions.glob("*.py"))) == 3


def test_a_migration_that_does_not_run_is_said_and_stays(blog):
    add_subtitle(blog)
    blog.replace(
        "my_app/models/post.py",
        "mapped_column(String(200))\n    summary",
        "mapped_column(\n"
        "        String(200), server_default=db.text('nothing()')\n    )\n    summary",
    )
    said = blog.db("migrate")
    said.assert_one_sentence(
        "_add_subtitle_to_post.py fails its proof in the step 'upgrade': line", "type make check"
    )
    assert len(list(blog.versions.glob("*.py"))) == 3


def test_the_schema_file_follows(blog):
    add_subtitle(blog)
    file = blog.package / "migrations" / "schema" / "sqlite.sql"
    before = file.read_text()
    blog.db("migrate").assert_ok()
    assert "subtitle VARCHAR(200)" in file.read_text()
    assert "subtitle" not in before
    blog.db("check").assert_ok()


def test_a_bare_project_gets_its_schema_file_with_its_first_migration(bare):
    folder = bare.package / "migrations" / "schema"
    assert not folder.exists()
    bare.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    bare.db("migrate").assert_ok()
    assert "CREATE TABLE note (\n    id INTEGER NOT NULL," in (folder / "sqlite.sql").read_text()


def test_a_machine_reads_one_document(blog):
    drop_summary(blog)
    said = blog.db("migrate", "--json").assert_ok()
    report = json.loads(said.out)
    assert report["ok"] is True
    assert report["operations"] == ["drop post.summary"]
    assert (blog.path / report["file"]).is_file()
    assert report["file"].startswith("my_app/migrations/versions/")
    assert report["findings"][0]["rule"] == "drop-column"
    assert report["schema"] == "my_app/migrations/schema/sqlite.sql"
    assert report["next"] == "make migrate"


def test_a_machine_reads_that_there_is_nothing_to_do(blog):
    report = json.loads(blog.db("migrate", "--json").assert_ok().out)
    assert (report["ok"], report["operations"], report["file"]) == (True, [], None)


def test_a_machine_reads_the_error_too(blog):
    for revision in ("aaaa00000001", "aaaa00000002"):
        blog.migration(revision, "8b27e4a9c610", "pass")
    said = blog.db("migrate", "--json").assert_one_sentence("2 heads")
    report = json.loads(said.out)
    assert report["ok"] is False
    assert "make rebase" in report["error"]


def at_a_terminal(project, **env):
    """Run `db migrate` with a terminal for stderr and return what it shows."""
    ours, theirs = pty.openpty()
    environment = project.environment(TERM="xterm", **env)
    process = subprocess.Popen(
        [*project.manage, "db", "migrate"],
        cwd=project.path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the other side is closed
    process.wait(60)
    os.close(ours)
    return shown.decode()


def test_colour_is_for_a_terminal_alone_and_not_with_no_color(blog):
    drop_summary(blog)
    assert "\x1b[" not in blog.db("migrate").assert_ok().said
    for file in blog.versions.glob("*drop*"):
        file.unlink()
    assert "\x1b[31mloses data" in at_a_terminal(blog)
    for file in blog.versions.glob("*drop*"):
        file.unlink()
    assert "\x1b[" not in at_a_terminal(blog, NO_COLOR="1")
