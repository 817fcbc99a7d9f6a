"""An env.py is read: what it gives to Alembic goes on, and what it does besides is said."""

from pathlib import Path

import flask_migrate
import pytest

from flask_keel import stock

TEMPLATES = Path(flask_migrate.__file__).parent / "templates"
STOCK = (TEMPLATES / "flask" / "env.py").read_text()
# as Flask-Migrate 2 wrote it
OLD = """from alembic import context
from flask import current_app
from logging.config import fileConfig
from sqlalchemy import engine_from_config, pool

config = context.config
fileConfig(config.config_file_name)
config.set_main_option("sqlalchemy.url", current_app.config.get("SQLALCHEMY_DATABASE_URI"))
target_metadata = current_app.extensions["migrate"].db.metadata


def run_migrations_online():
    def process_revision_directives(context, revision, directives):
        if getattr(config.cmd_opts, "autogenerate", False):
            script = directives[0]
            if script.upgrade_ops.is_empty():
                directives[:] = []
                logger.info("No changes in schema detected.")

    engine = engine_from_config(config.get_section(config.config_ini_section))
    connection = engine.connect()
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        process_revision_directives=process_revision_directives,
        **current_app.extensions["migrate"].configure_args,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.close()


run_migrations_online()
"""
TWO_LINES = "from flask_keel import env\n\nenv.run()\n"


@pytest.mark.parametrize("text", [STOCK, OLD])
def test_stock_becomes_two_lines(text):
    found = stock.read_env(text)
    assert (found.text(), found.unread) == (TWO_LINES, [])
    assert not stock.is_multidb(text)


def test_the_template_for_several_databases_is_known():
    assert stock.is_multidb((TEMPLATES / "flask-multidb" / "env.py").read_text())


def given(options, before=""):
    """Stock, with more given to context.configure and more at the top."""
    at = "            connection=connection,\n"
    text = STOCK.replace(at, f"{at}            {options},\n")
    return text.replace("target_db = ", f"{before}\ntarget_db = ", 1)


# Flask-Migrate 4.0 has no dictionary of them
COLLECTED = pytest.mark.skipif("conf_args" not in STOCK, reason="Flask-Migrate 4.1 has it first")


def collected(line):
    """Stock, with a line that changes the dictionary of what is given to context.configure."""
    return STOCK.replace("    connectable = ", f"    {line}\n    connectable = ")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (given("compare_type=True"), {"compare_type": "True"}),
        (
            given("version_table='v', include_schemas=True"),
            {"version_table": "'v'", "include_schemas": "True"},
        ),
        pytest.param(
            collected("conf_args['compare_type'] = False"),
            {"compare_type": "False"},
            marks=COLLECTED,
        ),
        pytest.param(
            collected("conf_args.update(version_table='v')"),
            {"version_table": "'v'"},
            marks=COLLECTED,
        ),
        pytest.param(
            collected("conf_args.update({'version_table': 'v'})"),
            {"version_table": "'v'"},
            marks=COLLECTED,
        ),
        (given("**{'version_table': 'v'}"), {"version_table": "'v'"}),
        (
            given("include_name=lambda name, kind, parents: name != 'x'"),
            {"include_name": "lambda name, kind, parents: name != 'x'"},
        ),
    ],
)
def test_options_are_found_however_they_are_given(text, options):
    found = stock.read_env(text)
    assert (found.options, found.unread) == (options, [])
    compile(found.text(), "env.py", "exec")


def test_a_function_brings_along_what_it_needs_and_nothing_else():
    before = (
        "import re\nUNUSED = re.compile('x')\nPATTERN = re.compile('^tmp_')\n\n\n"
        "def is_theirs(name):\n    found = PATTERN.match(name)\n    return found\n\n\n"
        "def include_object(item, name, kind, reflected, compared):\n"
        "    # ours\n    return not is_theirs(name)\n"
    )
    found = stock.read_env(given("include_object=include_object", before))
    text = found.text()
    assert "UNUSED" not in text and "    # ours\n" in text and found.unread == []
    said = {}
    calls = []
    exec(
        text.replace("from flask_keel import env", "env = said['env']"),
        {"said": said | {"env": Env(calls)}},
    )
    (options,) = calls
    assert options["include_object"](None, "tmp_x", "table", True, None) is False
    assert options["include_object"](None, "user", "table", True, None) is True


class Env:
    def __init__(self, calls):
        self.calls = calls

    def run(self, **options):
        self.calls.append(options)


def test_a_function_inside_of_another_is_taken_out_of_it():
    made = "    def render_item(kind, item, context):\n        name = kind\n        return name == 1\n\n"
    at = "    connectable = get_engine()"
    text = given("render_item=render_item").replace(at, f"{made}{at}")
    found = stock.read_env(text)
    assert found.options == {"render_item": "render_item"} and found.unread == []
    assert (
        "\ndef render_item(kind, item, context):\n    name = kind\n    return name == 1\n"
        in found.text()
    )
    compile(found.text(), "env.py", "exec")


def test_what_needs_a_name_of_a_function_is_said():
    found = stock.read_env(given("version_table=connectable.dialect.name"))
    assert found.options == {}
    assert found.unread[0].endswith(
        "version_table=connectable.dialect.name needs connectable of a function"
    )


def test_directives_of_ones_own_are_kept():
    text = STOCK.replace("directives[:] = []", "directives[:] = directives[:1]")
    found = stock.read_env(text)
    assert found.options == {"process_revision_directives": "process_revision_directives"}
    assert "directives[:1]" in found.text()


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.append('.')",
        "connection.execute(text('SET ROLE x'))",
        "os.environ['X'] = '1'",
        "x += 1",
    ],
)
def test_what_is_done_besides_is_said(line):
    at_the_top = STOCK.replace("target_db = ", f"{line}\ntarget_db = ", 1)
    inside = STOCK.replace(
        "        with context.begin", f"        {line}\n        with context.begin"
    )
    for text in (at_the_top, inside):
        found = stock.read_env(text)
        assert [one.partition(": ")[2] for one in found.unread] == [line]
        assert found.text() == TWO_LINES


def test_a_module_of_the_application_is_imported_still():
    """Its models would be forgotten otherwise."""
    found = stock.read_env(
        STOCK.replace("from flask import", "from app import models\nfrom flask import")
    )
    assert found.text().startswith("from flask_keel import env\nfrom app import models\n")


def test_models_of_another_base_are_given_on():
    text = STOCK.replace(
        "connection=connection,\n            target_metadata=get_metadata(),",
        "connection=connection,\n            target_metadata=Base.metadata,",
    )
    found = stock.read_env(
        text.replace("from flask import", "from app.base import Base\nfrom flask import")
    )
    assert found.options == {"target_metadata": "Base.metadata"}
    assert "from app.base import Base\n" in found.text()
