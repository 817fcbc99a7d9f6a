"""What a migration leaves alone in the application, and what is said when a driver is missing."""

import sys

import pytest

HOOK = """import sys


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("psycopg", "pymysql"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hidden())
"""
APPLICATION = """import logging, sys

import flask_migrate

from my_app import create_app

handler = logging.StreamHandler(sys.stdout)
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.ERROR)
own = logging.getLogger("my_app.own")
own.setLevel(logging.DEBUG)
app = create_app()
with app.app_context():
    flask_migrate.upgrade()
assert logging.getLogger().handlers == [handler]
assert logging.getLogger().level == logging.ERROR
assert own.level == logging.DEBUG and not own.disabled and own.isEnabledFor(logging.DEBUG)
assert logging.getLogger("alembic").level == logging.NOTSET
own.debug("still here")
"""


def test_a_migration_leaves_the_logging_of_the_application_alone(blog):
    blog.write("program.py", APPLICATION)
    assert blog.run(sys.executable, "program.py").assert_ok().out == "still here\n"


@pytest.mark.some(1)
@pytest.mark.parametrize(
    "kind, package", [("postgresql", "psycopg[binary]"), ("mysql", "PyMySQL[rsa]")]
)
def test_a_missing_driver_is_one_sentence_with_the_command_that_installs_it(
    new_project, kind, package
):
    project = new_project(database=kind)
    project.write("hidden/sitecustomize.py", HOOK)
    env = {
        "PYTHONPATH": str(project.path / "hidden"),
        "DEV_DATABASE_URL": f"{kind}://localhost/app",
    }
    project.run(*project.manage, "db", "upgrade", **env).assert_one_sentence(
        "is not installed", f"pip install '{package}'"
    )
    if kind == "postgresql":  # the server of its own needs the driver, too
        project.run(
            *project.manage, "db", "upgrade", **env | {"DEV_DATABASE_URL": None}
        ).assert_one_sentence(package)


LOOKS = """
config = op.get_context().config
with sa.engine_from_config(config.get_section(config.config_ini_section)).connect() as own:
    there = sa.inspect(own).has_table('user')
    with open('var/looked', 'a') as file:
        file.write(f"{own.engine.url.database} {there}\\n")
"""


def test_a_migration_that_reads_alembics_url_finds_the_database_on_which_it_runs(bare):
    bare.migration("f1", None, LOOKS)
    bare.db("upgrade").assert_ok()
    looked = (bare.path / "var" / "looked").read_text().splitlines()
    assert looked.pop() == f"{bare.database} False"
    bare.db("check")
    looked += (bare.path / "var" / "looked").read_text().splitlines()[len(looked) + 1 :]
    assert looked and not any(line.startswith(str(bare.database)) for line in looked)


@pytest.mark.parametrize("line", ["import nothing_here", "import ("])
def test_what_fails_in_it_is_a_sentence_that_names_the_file(blog, line):
    blog.write("my_app/migrations/env.py", f"from flask_keel import env\n{line}\nenv.run()\n")
    blog.db("upgrade").assert_one_sentence("Error: env.py: ", "Error: ", "mend the file")
