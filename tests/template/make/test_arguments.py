"""What is typed after make arrives literally and is executed nowhere."""

import ast

import pytest

pytestmark = pytest.mark.xdist_group("installed")

# {file} is a file that is there afterwards when something executed the text
HOSTILE = [
    'it\'s "quoted" and `touch {file}`; touch {file} | touch {file} & touch {file} #no comment',
    "$(touch {file}) $(shell touch {file}) ${{HOME}} $HOME $$",
    'back\\slash \\x \\N{{none}}, three """ and four """" \\',
    "-m 100% %d {{x}} {{{{x}}}} ${{x}} <% touch {file} %> naïve café ☕",
    "two\nlines $(shell touch {file})",
]
COMMANDS = "it's $(touch {file}) $(shell touch {file}) `touch {file}` \\"


@pytest.fixture
def typed(tmp_path):
    """Make a text from a pattern, and check afterwards that nothing executed it."""
    file = tmp_path / "executed"
    yield lambda pattern: pattern.format(file=file)
    assert not file.exists()


@pytest.mark.some(2)
@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_message_arrives_as_it_was_typed(application, typed, pattern):
    message = typed(pattern)
    application.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    application.make("newmigration", f"m={message}").assert_ok()
    (new,) = [name for name in application.changes() if "versions" in name]
    docstring = ast.get_docstring(ast.parse((application.path / new).read_text()), clean=False)
    assert docstring.startswith(f"{message}\n")


@pytest.mark.drill
def test_a_message_may_be_left_out(application):
    application.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    application.make("newmigration").assert_ok()
    assert any(name.endswith("_create_note.py") for name in application.changes())


def test_a_revision_arrives_as_it_was_typed(application, typed):
    revision = typed(COMMANDS)
    answer = application.make("upgrade-sql", f"to={revision}")
    assert answer.code != 0
    assert revision in answer.err
    assert application.make("downgrade", f"to={revision}").code != 0


def test_a_revision_may_be_relative_or_a_name(application):
    application.make("migrate").assert_ok()
    application.make("downgrade").assert_ok()
    assert application.revision == "3f8a1c52d7e0"
    assert "8b27e4a9c610" in application.make("upgrade-sql", "to=+1").assert_ok().out
    application.make("downgrade", "to=base").assert_ok()
    assert application.revision is None


def test_a_file_arrives_as_it_was_typed(application, typed, tmp_path):
    name = typed(COMMANDS).replace(f"{tmp_path}/", "") + ".py"
    path = application.write(
        name, "from alembic import op\n\n\ndef upgrade():\n    op.drop_column('a', 'b')\n"
    )
    application.make("sqlite-safe", f"file={name}").assert_ok()
    assert "batch_alter_table" in path.read_text()


def test_sqlite_safe_without_a_file_says_what_it_needs(application):
    answer = application.make("sqlite-safe")
    assert answer.code != 0
    assert "give the path of a migration file" in answer.err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80 90", "a", COMMANDS])
def test_a_port_that_is_none_is_a_sentence(application, typed, port):
    answer = application.make("server", f"port={typed(port)}")
    assert answer.code != 0 and "Traceback" not in answer.said
    assert f"Error: port={typed(port)} is no port: give a number from 1 to 65535." in answer.err


def test_what_the_shell_exports_under_these_names_does_not_arrive(application):
    application.make("migrate").assert_ok()
    stray = {"to": "base", "m": "stray", "file": "stray", "check": "1", "diff": "1"}
    application.make("downgrade", **stray).assert_ok()
    assert application.revision == "3f8a1c52d7e0"
    application.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    application.make("newmigration", **stray).assert_ok()
    assert any(name.endswith("_create_note.py") for name in application.changes())
