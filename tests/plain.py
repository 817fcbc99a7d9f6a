"""Applications that nobody generated: Flask-Migrate's, as its documentation makes them.

https://flask-migrate.readthedocs.io/en/latest/#example
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import databases
from projects import Answer, Project
from warm import WARM

MODULE = """import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("APP_DATABASE", "sqlite:///app.db")

db = SQLAlchemy(app)
migrate = Migrate(app, db)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(128))
"""
FACTORY = """import os
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()
migrate = Migrate()


def create_app():
    app = Flask(__name__, instance_path=os.path.abspath("instance"))
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("APP_DATABASE", "sqlite:///app.db")
    db.init_app(app)
    from shop.users import records

    migrate.init_app(app, db, directory=Path(__file__).parent / "db" / "migrations")
    return app
"""
MODELS = """from shop import db


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(128))
"""
COLUMN = "    name = db.Column(db.String(128))\n"
HOOKS = """
[post_write_hooks]
hooks = sqlite_safe, review
sqlite_safe.type = sqlite_safe
review.type = review
"""


@dataclass
class Plain(Project):
    """An application of one's own, used through `flask db`."""

    app: str = "app"
    migrations: str = "migrations"
    models: str = "app.py"
    keel_in: str = "app.py"

    @property
    def versions(self) -> Path:
        return self.path / self.migrations / "versions"

    @property
    def database(self) -> Path:
        return self.path / "instance" / "app.db"

    def flask(self, *arguments: str, timeout: float = 120, **env: str | None) -> Answer:
        """Run `flask ...`, in a process that is started warm."""
        program = str(Path(sys.executable).parent / "flask")
        command = [sys.executable, program, "--app", self.app, *arguments]
        return Answer(
            *WARM.run(command, self.path, self.environment(SETTINGS=None, **env), timeout)
        )

    def db(self, *arguments: str, **options) -> Answer:
        return self.flask("db", *arguments, **options)

    def change(self, column: str) -> None:
        """Write another column into the model, behind its name."""
        self.replace(self.models, COLUMN, COLUMN + column)

    def three_edits(self) -> "Plain":
        """What docs/adoption.md says, by hand."""
        with_keel(self)
        self.write(f"{self.migrations}/env.py", "from flask_keel import env\n\nenv.run()\n")
        ini = self.path / self.migrations / "alembic.ini"
        ini.write_text(ini.read_text() + HOOKS)
        return self


def module(folder: Path, **env: str) -> Plain:
    """One file, and the migrations beside it."""
    made = Plain(folder, env=env)
    made.write("app.py", MODULE)
    return made


def factory(folder: Path, source: str = "", **env: str) -> Plain:
    """A package with a factory, the models and the migrations somewhere inside of it."""
    inside = f"{source}shop"
    made = Plain(folder, env=env, app=inside, migrations=f"{inside}/db/migrations")
    made.models, made.keel_in = f"{inside}/users/records.py", f"{inside}/__init__.py"
    made.write(made.keel_in, FACTORY)
    made.write("pyproject.toml", "")
    made.write(f"{inside}/users/__init__.py", "")
    made.write(made.models, MODELS)
    return made


LAYOUTS = {
    "one module": module,
    "a package": factory,
    "src": lambda folder, **env: factory(folder, "src/", **env),
}


def begun(application: Plain) -> Plain:
    """Let stock Flask-Migrate make the migrations folder, and a first migration in it."""
    application.db("init").assert_ok()
    application.db("migrate", "-m", "first").assert_ok()
    application.db("upgrade").assert_ok()
    return application


def with_keel(application: Plain) -> Plain:
    """The first edit alone, by hand, after which there is `flask db adopt`."""
    application.replace(
        application.keel_in, "from flask_migrate import Migrate", "from flask_keel import Keel"
    )
    application.replace(application.keel_in, "migrate = Migrate(", "migrate = Keel(")
    return application


def url(server_url: str) -> str:
    """The URL of a server's database with the driver that is installed."""
    return databases.driven(server_url).render_as_string(hide_password=False)
