"""An account that may not create databases: the live one is compared, once it is what the history says."""

import re

import clients
import pytest
from sqlalchemy import make_url


@pytest.fixture
def account(server, server_url):
    """The URL of an account that has the database and may create no other."""
    url = make_url(server_url)
    if url.get_backend_name() == "postgresql":
        clients.run(server, "CREATE ROLE limited LOGIN")
        clients.run(server, f"ALTER DATABASE {url.database} OWNER TO limited")
        forget = [f"DROP DATABASE {url.database} WITH (FORCE)", "DROP ROLE limited"]
    else:
        clients.run(server, "CREATE USER limited@localhost")
        clients.run(server, f"GRANT ALL ON {url.database}.* TO limited@localhost")
        forget = ["DROP USER limited@localhost"]
    yield url.set(username="limited").render_as_string(hide_password=False)
    clients.run(server, *forget)


def test_it_is_told_so_and_what_somebody_changed_by_hand_does_not_leak(
    new_project, server, server_url, account
):
    kind = make_url(server_url).get_backend_name()
    project = new_project(database=kind)
    project.env["DEV_DATABASE_URL"] = account
    project.replace(
        "my_app/models/post.py", "    author:", "    age: Mapped[int | None]\n\n    author:"
    )
    files = set(project.versions.iterdir())

    project.db("migrate").assert_one_sentence("is not at the head", "db upgrade")
    project.db("upgrade").assert_ok()

    clients.run(account, "ALTER TABLE post DROP COLUMN summary")
    clients.run(account, "ALTER TABLE post ADD COLUMN extra INTEGER")
    drifted = project.db("migrate")
    drifted.assert_one_sentence("post.summary is missing", "post.extra was added", "limited")
    assert "may not create a scratch database" in drifted.err
    assert set(project.versions.iterdir()) == files

    clients.run(account, "ALTER TABLE post ADD COLUMN summary VARCHAR(500)")
    clients.run(account, "ALTER TABLE post DROP COLUMN extra")
    clients.run(account, "CREATE TABLE of_another_application (id INTEGER)")
    written = project.new_migration()
    assert "add_age_to_post" in written.name
    assert "another_application" not in written.read_text()
    written.unlink()

    rebuilt = project.db("rebuild")
    if kind == "postgresql":
        rebuilt.assert_one_sentence("ALTER ROLE limited CREATEDB")
        assert clients.rows(account, "SELECT count(*) FROM post") == [(0,)]  # nothing was dropped
    else:
        assert "without a rehearsal" in rebuilt.assert_ok().err
        assert clients.rows(account, "SELECT count(*) FROM post") == [(2,)]

    (grant,) = re.findall(r"allows it by (.*?);", drifted.err)
    clients.run(server, grant.replace("%", "%%"))
    answer = project.db("check")
    answer.assert_one_sentence("add age to post")
    assert "scratch" not in answer.err
