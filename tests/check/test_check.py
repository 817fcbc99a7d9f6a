"""`db check`: what a pull request is stopped by, without any database of the application."""

import json
import subprocess

import pytest

DROP = 'with op.batch_alter_table("post") as batch_op:\n    batch_op.drop_column("summary")'
BACK = (
    'with op.batch_alter_table("post") as batch_op:\n'
    '    batch_op.add_column(sa.Column("summary", sa.String(500), nullable=True))'
)
HEAD = "8b27e4a9c610"


def drop_summary(project, comment=""):
    """Take the column out of the model, and write the migration that drops it."""
    project.replace(
        "my_app/models/post.py",
        "    summary: Mapped[str | None] = mapped_column(String(500))\n",
        "",
    )
    return project.migration("aaaa00000001", HEAD, comment + DROP, BACK)


def git(project, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    subprocess.run(command, cwd=project.path, check=True, capture_output=True)


def test_the_starter_passes_and_no_database_is_made(blog):
    said = blog.db("check").assert_ok()
    assert said.err.splitlines() == [
        f"one head: {HEAD}",
        "the models and the history agree",
        "2 migrations linted and proved (0 of them before)",
        "my_app/migrations/schema/sqlite.sql is what they make",
    ]
    assert said.out == ""
    assert not blog.database.exists()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_the_starter_passes_on_a_server(kind, new_project, request):
    import databases

    server = request.getfixturevalue(
        {"postgresql": "postgresql_server", "mysql": "mariadb_server"}[kind]
    )
    project = new_project(database=kind)
    with databases.fresh(server) as url:
        project.env["DEV_DATABASE_URL"] = url
        before = databases.names(server)
        said = project.db("check").assert_ok()
        assert databases.names(server) == before
    assert f"my_app/migrations/schema/{kind}.sql is what they make" in said.err


def test_a_bare_project_passes_before_its_first_migration(bare):
    bare.db("check").assert_ok()


def test_a_model_without_its_migration_fails(blog):
    blog.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    blog.db("check").assert_one_sentence("create note", "make newmigration")


def test_two_heads_are_named_with_what_mends_them(blog):
    blog.migration("aaaa00000001", HEAD, "pass")
    blog.migration("aaaa00000002", HEAD, "pass")
    blog.db("check").assert_one_sentence(
        "aaaa00000001_by_hand.py", "aaaa00000002_by_hand.py", "make rebase"
    )


def test_a_migration_that_loses_data_fails_until_it_says_why(blog):
    file = drop_summary(blog)
    said = blog.db("check").assert_one_sentence(
        "aaaa00000001_by_hand.py, line 12: loses data (drop-column)",
        "# lint: drop-column because",
    )
    assert "line 12: drops post.summary and its values [drop-column, loses data]" in said.err
    file.write_text(
        file.read_text().replace(
            "    with op", "    # lint: drop-column because unused\n    with op"
        )
    )
    blog.db("schema").assert_ok()
    blog.db("check").assert_ok()


def test_what_blocks_the_running_release_fails_only_with_zero_downtime(blog):
    batch = 'with op.batch_alter_table("user") as batch_op:\n    batch_op.'
    unique = batch + 'create_unique_constraint("uq_user_name", ["name"])'
    drop = batch + 'drop_constraint("uq_user_name", type_="unique")'
    blog.migration("aaaa00000001", HEAD, unique, drop)
    blog.replace("my_app/models/user.py", "String(80)", "String(80), unique=True")
    blog.db("schema").assert_ok()
    said = blog.db("check").assert_ok()
    assert "makes user(name) unique [add-unique, blocks the running release]" in said.err
    with (blog.path / "etc" / "conf" / "dev.conf").open("a") as conf:
        conf.write("ZERO_DOWNTIME = True\n")
    blog.db("check").assert_one_sentence("blocks the running release (add-unique)")


def test_what_is_on_the_main_branch_was_decided_there(blog, tmp_path):
    drop_summary(blog)
    blog.db("schema").assert_ok()
    git(blog, "init", "-q", "-b", "main")
    git(blog, "add", ".")
    git(blog, "commit", "-q", "-m", "all")
    git(blog, "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    git(blog, "remote", "add", "origin", str(tmp_path / "origin.git"))
    blog.db("check").assert_one_sentence("loses data")  # no origin/HEAD: it cannot be told
    git(blog, "fetch", "-q", "origin")
    git(blog, "remote", "set-head", "origin", "main")
    blog.db("check").assert_ok()
    blog.migration("aaaa00000002", "aaaa00000001", "op.execute('DELETE FROM post')", "pass\npass")
    said = blog.db("check").assert_one_sentence("aaaa00000002_by_hand.py", "delete-rows")
    assert "drop-column" not in said.err


def test_a_migration_is_judged_again_only_when_something_under_it_changed(blog):
    blog.db("check").assert_ok()
    assert "(2 of them before)" in blog.db("check").assert_ok().err
    first, second = sorted(blog.versions.glob("*.py"))
    second.write_text(second.read_text() + "\n# a word\n")
    assert "(1 of them before)" in blog.db("check").assert_ok().err
    first.write_text(first.read_text() + "\n# a word\n")
    assert "(0 of them before)" in blog.db("check").assert_ok().err


def test_verdicts_that_cannot_be_read_are_made_again(blog):
    blog.write("var/cache/proved.json", "{broken")
    assert "(0 of them before)" in blog.db("check").assert_ok().err


def test_a_schema_file_that_is_another_fails_and_is_written_by_one_command(blog):
    file = blog.package / "migrations" / "schema" / "sqlite.sql"
    file.write_text(file.read_text().replace("VARCHAR(500)", "VARCHAR(501)"))
    blog.db("check").assert_one_sentence("schema/sqlite.sql is not what", "db schema")
    blog.db("schema").assert_ok()
    blog.db("check").assert_ok()


def test_a_history_that_does_not_run_is_named(blog):
    blog.migration("aaaa00000001", HEAD, 'op.execute("DROP INDEX nothing")')
    blog.db("check").assert_one_sentence("aaaa00000001_by_hand.py, line 11")


def test_a_machine_reads_the_same(blog):
    drop_summary(blog)
    said = blog.db("check", "--json")
    assert said.code == 1
    report = json.loads(said.out)
    assert report["ok"] is False
    assert report["head"] == "aaaa00000001"
    assert "loses data (drop-column)" in report["error"]
    (finding,) = report["migrations"][-1]["findings"]
    assert (finding["rule"], finding["severity"], finding["line"]) == (
        "drop-column",
        "loses data",
        12,
    )
    assert finding["silenced"] is None
    assert "deploy" in finding["instead"]
