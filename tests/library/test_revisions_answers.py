"""What is answered without Alembic is what the command itself answers."""

import sys

import pytest

from flask_keel import revisions

# the command itself: no argument list that a shortcut knows
IN_FULL = {"heads": ["heads", "--verbose"], "current": ["current", "--verbose"]}
LOADED = (
    "import sys; sys.argv = ['db', *sys.argv[1:]]\n"
    "import atexit; atexit.register(lambda: print('alembic' in sys.modules, file=sys.stderr))\n"
    "import gc; atexit.register(lambda: print(len(gc.get_objects()), file=sys.stderr))\n"
    "from my_app.cli import db; db()"
)


def asked(project, *command):
    """The answer, and whether Alembic was imported for it; if not, nothing is left to look through."""
    answer = project.run(sys.executable, "-c", LOADED, *command, PYTHONPATH=str(project.path))
    *err, tracked, loaded = answer.err.splitlines()
    assert loaded == "True" or int(tracked) < 1000
    return answer.code, answer.out, err, loaded == "True"


@pytest.mark.some(3)
@pytest.mark.parametrize("command", [["heads"], ["current"], ["upgrade"], ["upgrade", "head"]])
def test_a_plain_question_imports_no_alembic(blog, command):
    blog.db("upgrade").assert_ok()
    code, out, err, loaded = asked(blog, *command)
    assert code == 0 and not loaded
    if command[0] == "upgrade":
        assert err == [f"{blog.database} is at 8b27e4a9c610: nothing to do."]
    else:
        assert out == "8b27e4a9c610 (head)\n"


@pytest.mark.some(1)
@pytest.mark.parametrize("command", revisions.COMMANDS[::-1], ids=" ".join)
def test_the_command_itself_says_the_same(blog, command):
    blog.db("upgrade").assert_ok()
    code, out, err, loaded = asked(blog, *command)
    assert not loaded
    blog.write(
        "sitecustomize.py", "from flask_keel import revisions\nrevisions.answer = lambda *_: None\n"
    )
    assert asked(blog, *command) == (code, out, err, True)


def test_a_file_in_sqlites_own_uri_form_is_answered_for_as_any_other(blog):
    blog.db("upgrade").assert_ok()
    blog.env["DEV_DATABASE_URL"] = f"sqlite:///file:{blog.database}?uri=true"
    assert asked(blog, "current") == (0, "8b27e4a9c610 (head)\n", [], False)
    blog.database.unlink()
    assert asked(blog, "current")[0] == 1 and not blog.database.exists()


def test_half_way_the_revision_is_said_without_its_head(blog):
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    assert asked(blog, "current")[:2] == (0, "3f8a1c52d7e0\n")
    code, _, err, loaded = asked(blog, "upgrade")
    assert code == 0 and loaded
    assert err == ["  upgrade 8b27e4a9c610  add summary and published_at to post"]


def test_an_application_that_does_not_start_says_so_once(blog):
    blog.write("my_app/models/broken.py", "import nothing_of_that_name\n")
    blog.db("heads").assert_one_sentence("broken.py, line 1", "nothing_of_that_name")


def test_a_database_that_is_not_there_is_the_commands_to_name(blog):
    blog.db("current").assert_one_sentence(str(blog.database))
