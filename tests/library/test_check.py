"""`db check`: what a pull request is stopped by, without any database of the application."""

import json
import subprocess
from dataclasses import replace

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
        (kept,) = databases.names(server) - before
        assert "_scratch_kept_" in kept
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


def test_a_schema_file_that_is_not_there_is_said_to_be_none(blog):
    (blog.package / "migrations" / "schema" / "sqlite.sql").unlink()
    blog.db("check").assert_one_sentence("schema/sqlite.sql is not there: type db schema to write")


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


def on_main(project, tmp_path):
    """Put all that the project holds on the main branch of a remote."""
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all")
    git(project, "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    git(project, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(project, "fetch", "-q", "origin")
    git(project, "remote", "set-head", "origin", "main")


def test_a_proof_that_failed_on_the_main_branch_does_not_fail_the_check_for_ever(blog, tmp_path):
    index = "op.create_index('ix_post_summary', 'post', ['summary'])"
    drop = "op.drop_index('ix_post_summary', 'post')"
    blog.migration("aaaa00000001", HEAD, index, "pass")
    blog.migration("aaaa00000002", "aaaa00000001", drop, index)
    blog.db("check").assert_one_sentence("aaaa00000001_by_hand.py fails its proof", "does nothing")
    on_main(blog, tmp_path)
    said = blog.db("check").assert_ok()
    assert (
        "0 migrations linted and proved (0 of them before); 4 more on the main branch" in said.err
    )
    file = blog.migration("aaaa00000003", "aaaa00000002", index + "\n" + drop, "assert False")
    said = blog.db("check").assert_one_sentence("aaaa00000003_by_hand.py fails its proof")
    assert "aaaa00000001" not in said.err
    file.unlink()
    (one,) = blog.versions.glob("aaaa00000001*")
    one.write_text(one.read_text() + "# a word\n")  # what is changed here is decided here
    blog.db("check").assert_one_sentence("aaaa00000001_by_hand.py fails its proof")


def judged_before(project) -> list[bool]:
    report = json.loads(project.db("check", "--json").out)
    return [one["judged_before"] for one in report["migrations"]]


def test_a_proof_that_failed_is_remembered_until_something_that_it_rests_on_changes(blog):
    change = "with op.batch_alter_table('post') as batch:\n    batch.drop_index('ix_post_user_id')"
    blog.migration("aaaa00000001", HEAD, change, "from my_app.words import say\nsay()")
    helper = blog.write("my_app/words.py", "def say():\n    raise ValueError('no')\n")
    blog.replace("my_app/models/post.py", "index=True", "index=False")
    blog.db("check").assert_one_sentence("fails its proof", "line 17: no")
    assert judged_before(blog) == [True, True, True]
    helper.write_text(
        "from alembic import op\n\n\n"
        "def say():\n    op.create_index('ix_post_user_id', 'post', ['user_id'])\n"
    )
    assert judged_before(blog) == [True, True, False]
    assert judged_before(blog) == [True, True, True]


def as_enum(project):
    """Say in the model what the column holds: the database does not tell it from other text."""
    words = 'Enum("short", "long", native_enum=False, length=500)'
    project.replace(
        "my_app/models/post.py", "mapped_column(String(500))", f"mapped_column({words})"
    )
    project.replace("my_app/models/post.py", "sqlalchemy import ", "sqlalchemy import Enum, ")


@pytest.mark.parametrize(
    "mend",
    [lambda project: project.write("my_app/migrations/words.csv", "a,b"), as_enum],
    ids=["a file beside the migrations", "the models"],
)
def test_a_proof_that_failed_is_made_again_when_what_may_mend_it_changed(mend, blog):
    blog.migration("aaaa00000001", HEAD, "pass", "assert False")
    assert judged_before(blog) == [False, False, False]
    assert judged_before(blog) == [True, True, True]
    mend(blog)
    assert judged_before(blog) == [True, True, False]


def test_a_history_without_models_is_linted_and_proved_all_the_same(bare):
    table = 'op.create_table("note", sa.Column("id", sa.Integer(), primary_key=True))'
    bare.migration("aaaa00000001", None, table, 'op.drop_table("note")')
    bare.migration("aaaa00000002", "aaaa00000001", 'op.execute("DELETE FROM note")', "pass")
    said = bare.db("check").assert_one_sentence("there are no models to compare", "and 2 more")
    assert "deletes rows: DELETE FROM note" in said.err
    assert "agree" not in said.err


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


def test_what_a_migration_does_to_values_is_said_and_fails_nothing(blog):
    blog.migration("aaaa00000001", HEAD, "op.execute(\"UPDATE post SET title = 'gone'\")", "pass")
    said = blog.db("check").assert_ok()
    assert "aaaa00000001_by_hand.py\n  sets post.title to 'gone' in every row\n" in said.err
    assert "sets post.title to 'gone' in every row" in blog.db("check").assert_ok().err
    facts = json.loads(blog.db("check", "--json").out)["migrations"][-1]["proof"]
    assert facts["changes"] == ["sets post.title to 'gone' in every row"]


# --quick: the files alone


def test_a_quick_check_asks_no_database(new_project):
    project = new_project(database="postgresql")
    project.env["DEV_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    said = project.db("check", "--quick").assert_ok()
    assert "2 changed migrations linted, without a database" in said.err


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_quick_check_starts_no_server_and_needs_no_variable(kind, new_project):
    project = new_project(database=kind)
    file = drop_summary(project)
    project.db("check", "--quick").assert_one_sentence(
        f"{file.name}, line 12: loses data (drop-column)"
    )
    assert not (project.path / "var" / "postgres").exists()


def test_a_quick_check_looks_at_what_has_changed(blog):
    blog.remember()
    drop_summary(blog)
    blog.db("check", "--quick").assert_one_sentence("aaaa00000001_by_hand.py, line 12: loses data")
    blog.remember("shipped")
    assert "0 changed migrations linted" in blog.db("check", "--quick").assert_ok().err
    document = json.loads(blog.db("check", "--quick", "--json").assert_ok().out)
    assert (document["head"], document["migrations"]) == ("aaaa00000001", [])


def test_a_quick_check_takes_a_reason(blog):
    drop_summary(blog, "# lint: drop-column because nobody reads it\n")
    blog.db("check", "--quick").assert_ok()


def test_a_quick_check_finds_two_heads_and_a_head_file_that_is_none(blog):
    blog.migration("aaaa00000001", HEAD, "pass")
    blog.migration("aaaa00000002", HEAD, "pass")
    blog.db("check", "--quick").assert_one_sentence("The history has 2 heads", "make rebase")
    (blog.versions / "aaaa00000002_by_hand.py").unlink()
    blog.db("check", "--quick").assert_one_sentence("head.txt names aaaa00000002")


READS = """\
bind = op.get_bind()
for row in bind.execute(sa.text("SELECT id FROM post")).mappings():
    bind.execute(sa.text("UPDATE post SET title = :t"), {"t": row["id"]})
op.bulk_insert(sa.table("user", sa.column("name")), [{"name": "Ada"}])
with op.get_context().autocommit_block():
    op.create_index("ix_post_title", "post", ["title"], postgresql_concurrently=True)
if bind.execute(sa.text("SELECT count(*) FROM post")).scalar() is None:
    op.execute(sa.text("DELETE FROM post WHERE id = :n").bindparams(n=3))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_a_quick_check_goes_through_a_migration_that_reads(kind, new_project):
    project = new_project(database=kind)
    project.migration("aaaa00000001", HEAD, READS)
    said = project.db("check", "--quick").assert_one_sentence("line 18: loses data (delete-rows)")
    assert "cannot be told" not in said.err


def test_a_quick_check_says_what_only_a_database_can_tell(blog):
    looks = 'if "note" in sa.inspect(op.get_bind()).get_table_names():\n    op.drop_table("note")'
    blog.migration("aaaa00000001", HEAD, 'op.rename_table("post", "note")\n' + looks)
    said = blog.db("check", "--quick").assert_ok()
    assert "renames post to note" in said.err, "what came before it is linted"
    assert "not all of it can be told without a database" in said.err


def test_a_quick_check_of_a_computed_column_made_anew_is_left_to_the_whole_one(blog):
    add = 'op.add_column("post", sa.Column("short", sa.String(9), sa.Computed("substr(title, 1, 9)")))'
    drop = 'op.drop_column("post", "short")'
    blog.migration("aaaa00000001", HEAD, f"{drop}\n{add}")
    blog.db("check", "--quick").assert_ok()


@pytest.mark.drill
def test_a_hook_of_git_sees_what_is_committed(blog):
    """git gives its hooks an index of their own, and in a linked worktree its folder, too."""
    blog.remember()
    linked = replace(blog, path=blog.path.with_name("linked"))
    blog.git("worktree", "add", "--quiet", str(linked.path))
    hook = blog.write(
        ".git/hooks/pre-commit", "#!/bin/sh\nexec python bin/manage.py db check --quick\n"
    )
    hook.chmod(0o755)
    for project in (blog, linked):
        project.write("notes.txt", "one")
        project.git("add", "notes.txt")
        said = project.git("commit", "--message", "a note", "notes.txt")
        assert "0 changed migrations linted" in said.err
    drop_summary(blog)
    blog.git("add", "--all")
    person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    refused = blog.run("git", *person, "commit", "--message", "drop", "--", "my_app")
    assert refused.code == 1 and "loses data (drop-column)" in refused.err
