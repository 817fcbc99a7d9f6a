"""`db report`: what a reviewer reads of a branch's migrations."""

import re
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flask_keel import report

HEAD = "8b27e4a9c610"
KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
NOTE = KEY + "body: Mapped[str] = mapped_column(sa.String(50))\nworth: Mapped[int | None]"


@pytest.fixture
def branch(blog):
    """The blog on a branch of its own, on which nothing has changed yet."""
    blog.remember()
    blog.git("checkout", "--quiet", "-b", "work")
    return blog


def markdown(project, *arguments):
    return project.db("report", "--markdown", *arguments).assert_ok().out


def test_each_new_migration_is_told_with_its_sql_its_lint_its_proof_and_the_schema(any_database):
    project = any_database
    project.remember()
    project.git("checkout", "--quiet", "-b", "work")
    project.model("note", NOTE)
    first = project.new_migration()
    project.replace("my_app/models/note.py", "    worth: Mapped[int | None]\n", "")
    second = project.new_migration()
    said = markdown(project)
    assert "2 new migrations since main" in said
    assert re.search(r"\| `\w+` create note \| create note \| nothing \| proved \|", said)
    assert re.search(
        r" drop note.worth \| drop note.worth \| \*\*1 loses data\*\* \| proved \|", said
    )
    assert said.index(first.name) < said.index(second.name), "the oldest first"
    sql = re.findall(r"```sql\n(.*?)\n```", said, re.DOTALL)
    assert len(sql) == 2 and "CREATE TABLE note" in sql[0], sql
    assert re.search(r'ALTER TABLE "?note"? DROP COLUMN "?worth"?', sql[1]), sql
    assert "alembic_version" not in "".join(sql)
    assert "drops note.worth and its values" in said and "deferred(mapped_column(...))" in said
    assert re.search(r"Proof: proved on \d+ rows", said)
    (diff,) = re.findall(r"```diff\n(.*?)\n```", said, re.DOTALL)
    assert re.search(r"^\+CREATE TABLE .?note", diff, re.MULTILINE) and "worth" not in diff
    plain = project.db("report").assert_ok().out
    assert "\n  - drop note.worth\n" in plain and "CREATE TABLE note" in plain
    assert project.db("check").code == 1, "to stop the branch is check's"


def test_a_branch_without_migrations_changes_nothing(branch):
    assert "No change of the schema since main" in markdown(branch)
    branch.replace("my_app/migrations/schema/sqlite.sql", "summary", "summery")
    assert "The schema file differs, and no migration since main" in markdown(branch)


def test_what_nobody_has_committed_yet_is_told_too(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    assert "1 new migration since main" in markdown(branch)


def test_another_base_may_be_named(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    branch.remember("one")
    branch.migration("aaaa00000002", "aaaa00000001", "pass")
    assert "2 new migrations since main" in markdown(branch)
    assert "1 new migration since HEAD" in markdown(branch, "--base", "HEAD")


def test_a_migration_that_was_edited_after_it_was_shipped_is_shown_with_its_edit(branch):
    name = f"my_app/migrations/versions/{HEAD}_add_summary_and_published_at_to_post.py"
    branch.replace(name, "length=500", "length=50")
    said = markdown(branch)
    assert "1 edited migration since main" in said
    assert re.search(r"git checkout \w+ -- my\\_app/migrations/versions/" + HEAD, said)
    assert re.search(r"```diff\n.*^-.*length=500.*^\+.*length=50\b", said, re.S | re.M)


def test_a_migration_from_before_the_adoption_is_not_judged(branch):
    ini = branch.package / "migrations" / "alembic.ini"
    ini.write_text(f"{ini.read_text()}\n[flask_keel]\nadopted_at = {HEAD}\n")
    name = f"my_app/migrations/versions/{HEAD}_add_summary_and_published_at_to_post.py"
    branch.replace(name, "length=500", "length=50")
    said = markdown(branch)
    assert "1 edited migration since main" in said and "It is older than the adoption" in said
    assert "|  |  | **not judged** |" in said
    assert "othing" not in said and "VARCHAR(50)" in said


def test_a_file_that_is_gone_and_one_that_has_another_name_are_told(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    branch.remember("shipped")
    branch.git("branch", "--force", "main")
    shipped = branch.versions / "aaaa00000001_by_hand.py"
    moved = shipped.rename(shipped.with_name("aaaa00000001_renamed.py"))
    said = markdown(branch)
    assert "No new migration since main" not in said and "1 new migration" in said
    assert "by\\_hand.py is now my\\_app/migrations/versions/aaaa00000001\\_renamed.py" in said
    moved.unlink()
    said = markdown(branch)
    assert "No new migration since main" in said
    assert "by\\_hand.py is gone, and a database that has it cannot be migrated any more" in said


def test_two_heads_are_told_and_each_is_judged(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    branch.migration("aaaa00000002", HEAD, "pass")
    said = markdown(branch)
    assert "The history has 2 heads" in said and "make rebase" in said
    assert said.count("Proof: ") == 2


def test_a_migration_that_cannot_run_is_told_and_so_are_those_before_it(branch):
    create, drop = 'op.execute("CREATE TABLE one (id INTEGER)")', 'op.execute("DROP TABLE one")'
    branch.migration("aaaa00000001", HEAD, create, drop)
    branch.migration("aaaa00000002", "aaaa00000001", 'op.execute("CREATE TABEL two (id)")')
    said = markdown(branch)
    assert "CREATE TABLE one (id INTEGER);" in said
    assert re.search(r"Proof: \*\*.*fails its proof in the step 'upgrade'.*TABEL", said)
    assert "| **fails** |" in said and "It does nothing" not in said


def test_a_merge_says_that_it_joins_two_heads(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    branch.migration("aaaa00000002", HEAD, "pass")
    branch.db("merge", "heads", "-m", "both").assert_ok()
    assert "Proof: it joins two heads" in markdown(branch)


EVIL = "``` </details> | <script> **a** @ada http://a.b \u202e"


def test_no_name_or_value_ends_a_block_or_begins_one(branch):
    body = 'sa.Text, server_default="\\n```\\n````\\n</details>\\n# gone\\n"'
    branch.model("note", f"{KEY}body: Mapped[str] = mapped_column({body})")
    file = branch.new_migration()
    text = file.read_text()
    file.write_text(text.replace('"""', f'"""{EVIL}', 1))
    tree = MarkdownIt("commonmark").enable("table").parse(markdown(branch))
    tags = [token.content.strip() for token in tree if token.type == "html_block"]
    assert tags == ["<details><summary>SQL for SQLite</summary>", "</details>"]
    children = [child for token in tree for child in token.children or []]
    inline = {child.content for child in children if child.type == "html_inline"}
    assert inline <= {"<!-- -->", "<br>"}, inline
    assert [token.tag for token in tree if token.type == "heading_open"] == ["h2", "h3", "h3"]
    assert "\u202e" not in "".join(token.content for token in tree)
    (sql,) = [token.content for token in tree if token.type == "fence" and token.info == "sql"]
    assert "\n````\n</details>\n# gone\n" in sql, "what runs is shown as it is"


SIGNS = [*"`*_[]<>|~#!\\&@\n\r\t -+=1.a/:\u2028", "```", "</details>", "<!--", "<b>"]
NASTY = st.lists(st.sampled_from(SIGNS), max_size=20).map("".join)


def parsed(title, said, note, sql):
    """The blocks of a report with these words in it, its HTML, and its blocks of code."""
    did = [("phrase", f"add {said}"), ("sql", f"x {said}")]
    given = {"did": did, "proof": ["proved", f"x {note}"], "proved": True, "sql": f"{sql}x"}
    one = report.Change("abc", f"x {title}", f"v/{said}.py", **given)
    made = report.Report("SQLite", "since main", [one], [f"x {note}"], "f.sql", f"+{sql}x")
    tree = MarkdownIt("commonmark").enable("table").parse(report.markdown(made))
    children = [child for token in tree for child in token.children or []]
    html = {child.content for child in children if child.type == "html_inline"}
    links = [child.type for child in children if child.type in ("link_open", "image", "em_open")]
    blocks = [token.type for token in tree if token.type != "inline"]
    return blocks, html - {"<!-- -->"}, links, [one.content for one in tree if one.type == "fence"]


@given(NASTY, NASTY, NASTY, NASTY)
@settings(max_examples=30, deadline=None)
def test_whatever_the_words_are_the_report_has_its_own_shape(title, said, note, sql):
    blocks, html, links, code = parsed(title, said, note, sql)
    assert (blocks, html, links) == (parsed("a", "a", "a", "a")[0], set(), [])
    assert all(block.endswith("x\n") for block in code)


def change(number, sql="", did=()):
    given = {"did": list(did), "proof": ["proved"], "proved": True, "sql": sql}
    return report.Change(f"{number:012}", "a" * 100, "file.py", **given)


@pytest.mark.parametrize(
    "changes",
    [
        [change(1, "é" * 2_000_000)],
        [change(1, "SELECT 1;\n" * 500_000)],
        [change(number, "SELECT 'é';\n" * 3000) for number in range(300)],
        [change(1, "x", [("sql", "é" * 5000)] * 20_000)],
    ],
    ids=["one long line", "many lines", "many migrations", "many statements"],
)
def test_a_report_has_room_in_the_summary_of_a_job(changes):
    made = report.Report("SQLite", "since main", changes, [], "sqlite.sql", "+é\n" * 400_000)
    said = report.markdown(made)
    assert len(said.encode()) < 2**20
    assert "have no room here" in said or "cut here" in said or "more\n" in said
    assert said.count("<details>") == said.count("</details>")


def clone(branch, *options):
    target = branch.path.parent / "clone"
    branch.run(
        "git", "clone", "--quiet", *options, f"file://{branch.path}", str(target)
    ).assert_ok()
    return type(branch)(target, branch.module, branch.env)


def unrelated(branch):
    branch.git("checkout", "--quiet", "--orphan", "other")
    branch.remember("from nothing")


def test_where_git_does_not_tell_what_is_new_there_is_one_sentence(branch):
    def refused(*words, arguments=()):
        branch.db("report", "--markdown", *arguments).assert_one_sentence(*words)

    refused("git knows no commit --nowhere", "git fetch", arguments=["--base", "--nowhere"])
    unrelated(branch)
    refused("no commit in common with main", "--base REF")
    branch.git("branch", "--move", "main", "trunk")
    refused("no main branch here", "db report --base REF")
    branch.env["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"  # as in a container
    refused("git does not say", "git status")
    del branch.env["GIT_TEST_ASSUME_DIFFERENT_OWNER"]
    shutil.rmtree(branch.path / ".git")
    refused("is in no git repository", "git init")
    branch.git("init", "--quiet")
    refused("Nothing is committed yet", "git commit")


def test_a_shallow_clone_says_what_it_lacks(branch):
    branch.migration("aaaa00000001", HEAD, "pass")
    branch.remember("one")
    shallow = clone(branch, "--depth", "1", "--branch", "work")
    shallow.git("fetch", "--quiet", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    shallow.git("remote", "set-head", "origin", "main")
    shallow.db("report").assert_one_sentence("This clone is shallow", "git fetch --unshallow")
    whole = "git", "fetch", "--quiet", "--unshallow", "origin"
    shallow.run(*whole).assert_ok()
    assert "1 new migration since origin/main" in shallow.db("report").assert_ok().out


def test_a_server_that_does_not_answer_is_one_sentence(new_project):
    project = new_project(database="postgresql")
    project.remember()
    project.migration("aaaa00000001", HEAD, "pass")
    project.env["DEV_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    project.db("report").assert_one_sentence("127.0.0.1")
