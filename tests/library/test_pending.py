"""In development what is not migrated is a page, and a line where the server starts."""

import sys
import time
from contextlib import suppress

import pytest
from serving import PATIENCE, free_port, get, gunicorn, served

FIRST, SECOND = "3f8a1c52d7e0_create_user_and_post.py", "8b27e4a9c610_add_summary_and_published_at"
MOOD = "    mood: Mapped[str | None] = mapped_column(String(30))\n"


def running(project, log=None, **env):
    """The development server, as `make server` starts it."""
    port = free_port()
    command = (*project.manage, "run", "--debug", "--port", str(port))
    return served(command, project.path, project.environment(**env), port, log)


def until(found, wanted):
    """Ask until the answer has it, and return that answer; a server that begins anew gives none."""
    deadline, answer = time.monotonic() + PATIENCE, ""
    while wanted not in answer and time.monotonic() < deadline:
        with suppress(OSError):
            answer = found()
        time.sleep(0.1)
    assert wanted in answer
    return answer


def add_mood(project):
    project.replace("my_app/models/post.py", "    summary:", f"{MOOD}    summary:")


def test_what_the_database_lacks_is_a_page_until_it_has_it(blog, tmp_path):
    log = tmp_path / "log"
    with running(blog, log) as url:
        status, page = get(url)
        assert status == 503
        assert "lacks 2 migrations" in page and FIRST in page and SECOND in page
        assert "<code>make migrate</code>" in page
        assert 'href="/static/style.css"' in page and get(f"{url}/static/style.css")[0] == 200
        assert get(f"{url}/healthz")[0] == 200
        until(log.read_text, "lacks 2 migrations (3f8a1c52d7e0_create_user_and_post.py, ")
        assert (
            log.read_text().count("type make migrate") == 1
        )  # the reloader's other process is silent
        blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
        page = get(url)[1]
        assert "lacks a migration" in page and FIRST not in page and SECOND in page
        blog.db("upgrade").assert_ok()
        assert get(url)[0] == 200
        blog.db("downgrade").assert_ok()
        assert get(url)[0] == 503


def test_models_that_are_ahead_are_a_page_until_they_are_migrated(blog, tmp_path):
    log = tmp_path / "log"
    blog.db("upgrade").assert_ok()
    add_mood(blog)
    with running(blog, log) as url:
        page = get(url)[1]  # its query fails before the models are compared
        assert "The models have what no migration makes" in page
        assert "add mood to post" in page and "<code>make newmigration</code>" in page
        assert "(add mood to post): type make newmigration" in log.read_text()
        file = blog.new_migration()
        page = get(url)[1]
        assert file.name in page and "<code>make migrate</code>" in page
        blog.db("upgrade").assert_ok()
        assert get(url)[0] == 200


def test_a_database_that_has_what_the_models_add_is_one_to_work_on(blog, tmp_path):
    log = tmp_path / "log"
    add_mood(blog)
    blog.db("rebuild").assert_ok()
    with running(blog, log) as url:
        until(log.read_text, "(add mood to post): type make newmigration")
        assert get(url)[0] == 200


ASK = """
import sys
from my_app import create_app
app = create_app()
page = app.test_client().get("/")
print(page.status_code, "lacks" in page.text, "alembic" in sys.modules)
"""


def test_a_server_that_says_so_has_not_imported_alembic(blog):
    assert blog.run(sys.executable, "-c", ASK).assert_ok().out.strip() == "503 True False"


def test_production_shows_no_page_of_it(blog, tmp_path):
    port = free_port()
    env = {"SECRET_KEY": "k" * 40, "DATABASE_URL": f"sqlite:///{tmp_path / 'prod.db'}"}
    env = blog.environment(SETTINGS="prod.conf", **env)
    with served(gunicorn(blog, "-b", f"127.0.0.1:{port}"), blog.path, env, port) as url:
        status, page = get(url)
        assert status == 500 and "migration" not in page
        assert get(f"{url}/readyz")[0] == 503


def test_each_database_is_asked(any_database):
    project = any_database
    body = "id: Mapped[int] = mapped_column(primary_key=True)\n"
    project.model("note", body)
    file = project.new_migration()
    with running(project) as url:
        assert file.name in get(url)[1]
        project.db("upgrade").assert_ok()
        assert get(url)[0] == 200
        time.sleep(1)  # a file that changes within the second is not seen by every reloader
        project.model("note", f"{body}size: Mapped[int | None]\n")
        page = until(lambda: get(url)[1], "The models have what no migration makes")
        assert "add size to note" in page


@pytest.mark.some(1)
@pytest.mark.parametrize(
    ("file", "text"),
    [("versions/8b27e4a9c610_by_hand.py", "revision = 1 +"), ("head.txt", "<<<<<<< mine\n")],
)
def test_a_history_that_cannot_be_read_stops_no_request(blog, file, text):
    blog.db("upgrade").assert_ok()
    blog.write(f"my_app/migrations/{file}", text)
    with running(blog) as url:
        assert get(url)[0] == 200


HANDLED = """
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from my_app import create_app
from my_app.extensions import db


def answer(error):
    return type(error).__name__, 418


for handlers in ((), (SQLAlchemyError, Exception)):
    app = create_app()
    for kind in handlers:
        app.register_error_handler(kind, answer)
    app.add_url_rule("/wrong", view_func=lambda: db.session.execute(text("SELECT lost")))
    page = app.test_client().get("/wrong")
    print(page.status_code, page.text.partition("<")[0])
"""


def test_an_error_of_another_kind_gets_the_application_s_own_answer(blog):
    blog.db("upgrade").assert_ok()
    said = blog.warm(sys.executable, "-c", HANDLED)
    assert said.assert_ok().out.splitlines() == ["500 ", "418 OperationalError"]
