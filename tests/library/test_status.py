"""What `db status` says of a database: true, in few lines, and without touching it."""

import json
import shutil
import sqlite3
import sys
from contextlib import ExitStack

import clients
import databases
import projects
import pytest
from sqlalchemy import make_url

KINDS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}


@pytest.fixture(params=KINDS)
def blog_on(request, new_project):
    """The blog on each of the three databases in turn, not migrated yet."""
    made = new_project(database=KINDS[request.param])
    if request.param == "sqlite":
        yield made
        return
    with databases.fresh(request.getfixturevalue(f"{request.param}_server")) as url:
        made.env["DEV_DATABASE_URL"] = url
        yield made


def on(*names):
    return pytest.mark.parametrize("blog_on", names, indirect=True)


on_servers = on("postgresql", "mariadb")


@pytest.fixture(scope="session")
def known(generated, tmp_path_factory, request):
    """Where it is kept that the models agree with the history, found once for each kind of database."""
    folders = {}

    def of(kind):
        if kind not in folders:
            made = projects.copy(generated(database=kind), tmp_path_factory.mktemp("known"))
            with ExitStack() as stack:
                if kind != "sqlite":
                    server = {"postgresql": "postgresql_server", "mysql": "mariadb_server"}[kind]
                    url = databases.fresh(request.getfixturevalue(server))
                    made.env["DEV_DATABASE_URL"] = stack.enter_context(url)
                made.db("upgrade").assert_ok()
                made.db("migrate").assert_ok()
            folders[kind] = made.path / "var"
        return folders[kind]

    return of


@pytest.fixture
def agreed(blog_on, known):
    """The blog at the head of its history; it is known that the models agree with that."""
    shutil.copytree(known(kind_of(blog_on)), blog_on.path / "var", dirs_exist_ok=True)
    if kind_of(blog_on) != "sqlite":
        blog_on.db("upgrade").assert_ok()
    return blog_on


def url_of(project):
    return project.env.get("DEV_DATABASE_URL", f"sqlite:///{project.database}")


def kind_of(project):
    return make_url(url_of(project)).get_backend_name()


def status(project, code, *words, **env):
    """Assert the exit code, and that the words are said; return the lines."""
    answer = project.db("status", **env)
    assert answer.code == code, answer.said
    assert not answer.out and "Traceback" not in answer.err
    for word in words:
        assert word in answer.err, answer.err
    return answer.err.splitlines()


def facts(project, code, **env):
    answer = project.db("status", "--json", **env)
    assert answer.code == code, answer.said
    (found,) = json.loads(answer.out)
    assert found["ok"] == (code == 0)
    return found


def facts_of(project):
    (found,) = json.loads(project.db("status", "--json").out)
    return found


def test_all_is_well_is_one_line_whatever_the_rows_are(agreed):
    clients.run(
        url_of(agreed),
        f"INSERT INTO {QUOTED[kind_of(agreed)]} (name, email) VALUES ('a', 'b')",
    )
    (line,) = status(agreed, 0)
    assert line.endswith(
        "is at 8b27e4a9c610 (head), as the last run left it; the models and the history agree."
    )
    found = facts(agreed, 0)
    assert found["revisions"] == found["heads"] == ["8b27e4a9c610"]
    assert found["models"]["agree"] is True
    assert found["drift"] == {"against": "what the last run left", "found": []}


@on("sqlite", "postgresql")
def test_what_is_pending_stands_there_with_its_title(blog_on):
    words = ("2 migrations are pending", "3f8a1c52d7e0  create user and post", "db upgrade")
    missing = kind_of(blog_on) == "sqlite"
    status(blog_on, 1, *words, "does not exist yet" if missing else "has no migration yet")
    assert not missing or not blog_on.database.exists()
    blog_on.db("upgrade", "3f8a1c52d7e0").assert_ok()
    lines = status(blog_on, 1, "is at 3f8a1c52d7e0.", "one migration is pending")
    assert "create user and post" not in "".join(lines)
    blog_on.db("downgrade", "base").assert_ok()
    status(blog_on, 1, "2 migrations are pending")


QUOTED = {"sqlite": "user", "postgresql": '"user"', "mysql": "user"}
BY_HAND = {
    "sqlite": [
        "ALTER TABLE post DROP COLUMN summary",
        "ALTER TABLE post ADD COLUMN extra INTEGER",
        "DROP INDEX ix_post_user_id",
        "CREATE TABLE by_hand (a INTEGER)",
        "CREATE TRIGGER tr AFTER INSERT ON post BEGIN SELECT 1; END",
    ],
    "postgresql": [
        "ALTER TABLE post DROP COLUMN summary",
        "ALTER TABLE post ADD extra INTEGER",
        "DROP INDEX ix_post_user_id",
        "CREATE TABLE by_hand (a INTEGER)",
        "ALTER TABLE post ALTER title TYPE VARCHAR(300), ALTER body DROP NOT NULL",
        "ALTER TABLE post DROP CONSTRAINT uq_post_slug",
        "ALTER TABLE post ADD CONSTRAINT ck_hand CHECK (title <> '')",
        "ALTER TABLE post DROP CONSTRAINT fk_post_user_id_user, ADD CONSTRAINT fk_post_user_id_user "
        'FOREIGN KEY (user_id) REFERENCES "user" (id)',
        "CREATE TYPE mood AS ENUM ('sad')",
    ],
    "mysql": [
        "ALTER TABLE post DROP COLUMN summary",
        "ALTER TABLE post ADD extra INTEGER",
        "CREATE TABLE by_hand (a INTEGER)",
        "ALTER TABLE post MODIFY title VARCHAR(300) NOT NULL, MODIFY body TEXT",
        "ALTER TABLE post DROP INDEX uq_post_slug",
        "ALTER TABLE post ADD CONSTRAINT ck_hand CHECK (title <> '')",
        "ALTER TABLE post DROP CONSTRAINT fk_post_user_id_user",
        "ALTER TABLE post ADD CONSTRAINT fk_post_user_id_user FOREIGN KEY (user_id) REFERENCES user (id)",
    ],
}
SAID = {
    "sqlite": [
        "the column post.summary is missing (VARCHAR(500))",
        "the column post.extra was added (INTEGER)",
        "the index ix_post_user_id is missing (ON post (user_id))",
        "the table by_hand was added (a)",
        "the trigger tr was added (AFTER INSERT ON post BEGIN SELECT 1; END)",
    ],
    "postgresql": [
        "the column post.summary is missing (character varying(500))",
        "the column post.extra was added (integer)",
        "the index ix_post_user_id is missing (ON public.post USING btree (user_id))",
        "the table by_hand was added (a)",
        "the column post.title is character varying(300) NOT NULL, and was character varying(200) NOT NULL",
        "the column post.body is text, and was text NOT NULL",
        "the constraint post.uq_post_slug is missing (UNIQUE (slug))",
        "the constraint post.ck_hand was added (CHECK (((title)::text <> ''::text)))",
        'the constraint post.fk_post_user_id_user is FOREIGN KEY (user_id) REFERENCES "user"(id), and was '
        'FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE',
        "the enum mood was added (('sad'))",
    ],
    "mysql": [
        "the column post.summary is missing (varchar(500) DEFAULT NULL)",
        "the column post.extra was added (int DEFAULT NULL)",
        "the table by_hand was added (a)",
        "the column post.title is varchar(300) NOT NULL, and was varchar(200) NOT NULL",
        f"the column post.body is text{'' if databases.MYSQLD else ' DEFAULT NULL'}, and was text NOT NULL",
        "the index post.uq_post_slug is missing (UNIQUE KEY (`slug`))",
        "the constraint post.ck_hand was added (CHECK (`title` <> ''))",
        "the constraint post.fk_post_user_id_user is FOREIGN KEY (`user_id`) REFERENCES `user` (`id`), "
        "and was FOREIGN KEY (`user_id`) REFERENCES `user` (`id`) ON DELETE CASCADE",
    ],
}


def test_each_thing_that_was_changed_by_hand_is_named_with_what_it_was(agreed):
    kind = kind_of(agreed)
    clients.run(url_of(agreed), *BY_HAND[kind])
    found = facts(agreed, 1)["drift"]
    assert found["against"] == "what the last run left"
    assert {"kind", "object", "change", "before", "now"} == set(found["found"][0])
    lines = status(agreed, 1, "It is not as the last run left it")
    shown = [line.strip() for line in lines if line.startswith("  the ")]
    assert set(shown) <= set(SAID[kind]) and len(shown) == min(6, len(SAID[kind]))
    assert len(found["found"]) == len(SAID[kind])
    for one in found["found"]:
        assert any(
            one["object"] in line and (one["now"] or one["before"]) in line for line in SAID[kind]
        )


@pytest.fixture
def account(agreed):
    """The URL of an account that may SELECT, and nothing else."""
    url = make_url(url_of(agreed))
    if url.get_backend_name() == "postgresql":
        make = ["CREATE ROLE looker LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker"]
        forget = ["DROP OWNED BY looker", "DROP ROLE looker"]
    else:
        make = [
            "CREATE USER looker@localhost",
            f"GRANT SELECT ON {url.database}.* TO looker@localhost",
        ]
        forget = ["DROP USER looker@localhost"]
    clients.run(url_of(agreed), *make)
    yield url.set(username="looker").render_as_string(hide_password=False)
    clients.run(url_of(agreed), *forget)


@on_servers
def test_an_account_that_may_select_is_enough_and_nothing_is_made(agreed, account):
    shutil.copy(agreed.path / "etc/conf/dev.conf", agreed.path / "etc/conf/look.conf")
    server, before = url_of(agreed), databases.names(url_of(agreed))
    text = clients.dump(server)
    (line,) = status(agreed, 0, "the models and the history agree", DEV_DATABASE_URL=account)
    assert "looker" in line
    clients.run(server, "ALTER TABLE post ADD extra INTEGER")
    status(agreed, 1, "the column post.extra was added", DEV_DATABASE_URL=account)
    clients.run(server, "ALTER TABLE post DROP COLUMN extra")
    assert databases.names(server) == before
    assert clients.dump(server) == text


@on("postgresql")
def test_partitions_that_a_job_makes_are_no_drift_and_an_invalid_index_is(agreed):
    agreed.migration(
        "c1",
        "8b27e4a9c610",
        "op.execute('CREATE TABLE visit (id INTEGER, at DATE) PARTITION BY RANGE (at)')",
    )
    agreed.db("upgrade").assert_ok()
    agreed.db("schema").assert_ok()
    clients.run(
        url_of(agreed),
        "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_post_user_id'::regclass",
    )
    (found,) = facts(agreed, 1)["drift"]["found"]
    assert found["object"] == "index ix_post_user_id" and found["now"].endswith("INVALID")


@on("postgresql")
def test_schemas_of_others_are_no_business_of_an_account_that_may_not_enter_them(agreed, account):
    clients.run(
        url_of(agreed),
        "CREATE SCHEMA others",
        "CREATE TABLE others.t (id serial PRIMARY KEY, a INTEGER CHECK (a > 1))",
        "CREATE VIEW others.v AS SELECT a FROM others.t",
        "CREATE FUNCTION others.f() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
    )
    status(agreed, 0, DEV_DATABASE_URL=account)
    clients.run(
        url_of(agreed), "CREATE FUNCTION public.f() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'"
    )
    lines = status(agreed, 1, DEV_DATABASE_URL=account)
    assert [line for line in lines if line.startswith("  ")] == [
        "  the function public.f() was added "
        "(() RETURNS integer LANGUAGE sql AS $function$SELECT 1$function$)"
    ]


@on("mariadb")
def test_what_the_account_may_not_see_is_not_called_missing(agreed, account):
    by_hand = [
        "CREATE VIEW titles AS SELECT title FROM post",
        "CREATE TRIGGER tr BEFORE INSERT ON post FOR EACH ROW SET NEW.title = 'x'",
    ]
    agreed.migration("c1", "8b27e4a9c610", "".join(f"op.execute({sql!r})\n" for sql in by_hand))
    agreed.db("upgrade").assert_ok()
    told = facts(agreed, 3, DEV_DATABASE_URL=account)
    assert told["drift"]["found"] == []
    (said,) = [one for one in told["not_told"] if "Not all of it could be compared" in one]
    assert "GRANT TRIGGER" in said and "GRANT SHOW VIEW" in said


@on("sqlite", "mariadb")
def test_tables_of_others_are_their_business_and_a_new_one_is_told(agreed):
    clients.run(url_of(agreed), "CREATE TABLE of_another (a INTEGER, b INTEGER)")
    agreed.db("downgrade").assert_ok()
    agreed.db("upgrade").assert_ok()
    status(agreed, 0)
    clients.run(url_of(agreed), "ALTER TABLE of_another ADD COLUMN c INTEGER")
    status(agreed, 0)
    clients.run(url_of(agreed), "DROP TABLE of_another", "CREATE TABLE one_more (a INTEGER)")
    lines = status(agreed, 1)
    assert [line for line in lines if line.startswith("  ")] == [
        "  the table one_more was added (a)"
    ]
    agreed.replace(
        "my_app/extensions.py",
        "keel = Keel(",
        "keel = Keel(include_object=lambda *it: it[1] != 'one_more', ",
    )
    assert facts_of(agreed)["drift"]["found"] == []


@on_servers
def test_it_waits_for_no_migration(agreed):
    lock = {
        "postgresql": ["BEGIN", "LOCK TABLE post IN ACCESS EXCLUSIVE MODE"],
        "mysql": ["LOCK TABLES post WRITE"],
    }[kind_of(agreed)]
    with databases.engine(url_of(agreed)).connect() as other:
        for sql in lock:
            other.exec_driver_sql(sql)
        answer = agreed.db("status", timeout=30)
    assert answer.code in (0, 3), answer.said
    assert answer.code == 0 or "cannot be told" in answer.err, answer.said


@on("sqlite", "postgresql")
def test_models_that_no_migration_makes_are_told(agreed):
    agreed.replace(
        "my_app/models/post.py", "    author:", "    age: Mapped[int | None]\n\n    author:"
    )
    lines = status(agreed, 1, "The models have what the history has not", "make newmigration")
    assert "  add age to post" in lines
    agreed.db("migrate").assert_ok()
    lines = status(agreed, 1, "one migration is pending")
    assert "The models" not in "".join(lines)
    agreed.db("upgrade").assert_ok()
    status(agreed, 0)


@on("sqlite", "mariadb")
def test_a_type_that_was_changed_in_the_models_is_not_told_on_a_server_and_is_elsewhere(agreed):
    agreed.replace("my_app/models/post.py", "String(500)", "String(600)")
    if kind_of(agreed) == "sqlite":
        status(agreed, 1, "change post.summary")
        return
    status(agreed, 3, "the models and the history agree cannot be told", "make check")
    agreed.db("check").assert_one_sentence("change post.summary")
    status(agreed, 3, "(db check), and where they agree there")  # a difference is not kept
    clients.run(url_of(agreed), "ALTER TABLE post ADD extra INTEGER")
    status(agreed, 1, "cannot be told", "post.extra was added")  # a difference wins


@on("sqlite")
def test_a_file_that_was_edited_after_it_was_applied_is_named(agreed):
    (file,) = agreed.versions.glob("3f8a*.py")
    text = file.read_bytes()
    file.write_bytes(text.replace(b"\n", b"\r\n"))
    assert "Edited" not in agreed.db("status").err  # ends of lines are no edit
    file.write_bytes(text + b"# more\n")
    agreed.db("migrate").assert_ok()
    shown = f"my_app/migrations/versions/{file.name}"
    assert f"  {shown}" in status(agreed, 1, "Edited after it was applied")
    assert facts(agreed, 1)["edited"] == [{"revision": "3f8a1c52d7e0", "file": shown}]
    agreed.replace(
        "my_app/models/post.py", "    author:", "    age: Mapped[int | None]\n\n    author:"
    )
    said = agreed.db("migrate").assert_ok().err
    assert f"{shown} was edited after it was applied to " in said
    assert said.index("was edited") < said.index("add age to post")


def created_by_the_models(project):
    project.write(
        "create_all.py",
        "from my_app import create_app\nfrom my_app.extensions import db\n"
        "with create_app().app_context():\n    db.create_all()\n",
    )
    project.warm(sys.executable, "create_all.py").assert_ok()


@on("sqlite", "mariadb")
def test_a_database_that_create_all_made_is_recognised(blog_on):
    created_by_the_models(blog_on)
    status(blog_on, 1, "no record of a migration", "db.create_all()", "db stamp")
    assert "is not what" not in blog_on.db("stamp", "head").assert_ok().err
    blog_on.db("migrate").assert_ok()
    status(blog_on, 0, f"as my_app/migrations/schema/{kind_of(blog_on)}.sql says")


@on("sqlite", "postgresql")
def test_a_stamp_that_lies_is_recognised_when_it_is_made_and_afterwards(blog_on):
    blog_on.db("upgrade", "3f8a1c52d7e0").assert_ok()
    missing = ("the column post.summary is missing", "the column post.published_at is missing")
    stamped = blog_on.db("stamp", "head").assert_ok().err
    assert all(word in stamped for word in (*missing, "it was stamped")), stamped
    status(blog_on, 1, *missing)
    # and by the next upgrade, which then leaves its own word of what is there
    blog_on.migration("c1", "8b27e4a9c610", "op.create_table('c', sa.Column('a', sa.Integer))")
    upgraded = blog_on.db("upgrade").assert_ok().err
    assert all(word in upgraded for word in missing), upgraded
    assert "as the last run left it" not in "".join(status(blog_on, 1, *missing))


@on("sqlite", "postgresql")
def test_what_a_rebase_put_beneath_what_was_applied_is_nobodys_change_by_hand(agreed):
    ours = agreed.migration(
        "o1", "8b27e4a9c610", "op.create_table('o', sa.Column('a', sa.Integer))"
    )
    agreed.db("upgrade").assert_ok()
    agreed.migration("t1", "8b27e4a9c610", "op.create_table('t', sa.Column('a', sa.Integer))")
    ours.write_text(ours.read_text().replace("8b27e4a9c610", "t1"))  # as `db rebase` does
    agreed.db("schema").assert_ok()
    said = status(agreed, 1, "the table t is missing", "before make rebase", "type make db")
    assert "as the last run left it" not in "".join(said)


@on("sqlite")
def test_an_upgrade_says_nothing_of_a_file_that_is_older_than_the_history(agreed):
    agreed.migration("c1", "8b27e4a9c610", "op.drop_column('post', 'summary')")
    assert "is missing" not in agreed.db("upgrade").assert_ok().err
    assert facts_of(agreed)["drift"] == {"against": "what the last run left", "found": []}


def test_printed_sql_leaves_a_database_that_is_well(agreed, tmp_path, request):
    if kind_of(agreed) == "sqlite" and not shutil.which("sqlite3"):
        databases.missing("no sqlite3 program: apt-get install sqlite3")
    agreed.db("downgrade", "base").assert_ok()
    clients.run(url_of(agreed), "DELETE FROM alembic_log")
    clients.feed(url_of(agreed), agreed.db("upgrade", "--sql").assert_ok().out)
    status(agreed, 0, ".sql says")


@on("sqlite", "postgresql")
def test_a_fresh_development_database_is_well_and_one_that_is_ahead_says_so(blog_on):
    blog_on.db("rebuild").assert_ok()
    status(blog_on, 0)
    blog_on.replace(
        "my_app/models/post.py", "    author:", "    age: Mapped[int | None]\n\n    author:"
    )
    blog_on.db("rebuild").assert_ok()
    found = facts(blog_on, 1)
    assert "is ahead of the history, since make db" in found["wrong"][0]
    assert found["models"]["missing"] == ["add age to post"]
    assert found["drift"]["found"] == []


@on("sqlite")
def test_a_restored_backup_is_well(agreed):
    agreed.db("backup").assert_ok()
    agreed.db("downgrade").assert_ok()
    agreed.db("restore", "--yes").assert_ok()
    status(agreed, 0, "as the last run left it")


@on("mariadb")
def test_what_a_run_that_failed_has_left_is_not_put_on_a_person(agreed):
    agreed.migration(
        "c1", "8b27e4a9c610", "op.add_column('post', sa.Column('half', sa.Integer))\n1 / 0"
    )
    assert agreed.db("upgrade").code == 1
    lines = status(agreed, 1, "the upgrade c1 after that failed, and may have left this")
    assert "  the column post.half was added (int DEFAULT NULL)" in lines
    assert "somebody changed it" not in "".join(lines)


@on("sqlite")
def test_two_heads_and_a_revision_that_no_file_has_are_told(agreed):
    agreed.migration("c1", "8b27e4a9c610", "pass")
    agreed.db("upgrade").assert_ok()
    (file,) = agreed.versions.glob("c1*.py")
    file.unlink()
    status(agreed, 1, "is at revision c1, which no file in")
    agreed.migration("c1", "3f8a1c52d7e0", "pass")
    status(agreed, 1, "The history has 2 heads")


@on("sqlite", "postgresql")
def test_a_database_that_does_not_answer_is_not_called_wrong(agreed, tmp_path):
    if kind_of(agreed) == "sqlite":
        agreed.database.write_bytes(b"this is no database, and not a short one either" * 100)
        status(agreed, 3, "cannot be looked at", "is not a SQLite database")
        return
    url = make_url(url_of(agreed)).set(username="nobody", password="wrong")
    gone = url.render_as_string(hide_password=False)
    status(agreed, 3, "cannot be looked at", "refuses the account", DEV_DATABASE_URL=gone)


def test_a_file_that_may_only_be_read_is_looked_at_and_left_alone(blog):
    blog.db("upgrade").assert_ok()
    before = blog.database.read_bytes()
    with sqlite3.connect(blog.database) as writer:
        writer.execute("BEGIN IMMEDIATE")
        status(blog, 0)
    blog.database.chmod(0o444)
    status(blog, 0)
    assert blog.database.read_bytes() == before
    assert not blog.database.with_name("dev.db-wal").exists()
