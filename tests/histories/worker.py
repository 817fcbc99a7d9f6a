"""A process that moves one database through a history, by the library or by Alembic alone.

It reads ``{"revision": ..., "up": true}`` from each line of its input and answers with
``{"error": null}`` or what went wrong.
"""

import importlib.abc
import importlib.machinery
import json
import sys
import types
import uuid
import warnings
from contextlib import contextmanager
from itertools import count

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory


class Text36(sa.TypeDecorator):
    """The applications' own types for a UUID: text on SQLite."""

    impl = sa.CHAR(32)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value.hex if isinstance(value, uuid.UUID) else value

    @staticmethod
    def generate():
        return uuid.uuid4()


class Json(sa.TypeDecorator):
    """Text that holds JSON."""

    impl = sa.Text
    cache_ok = True


def plain(class_):
    """A type of the application's that is stored as one of SQLAlchemy's, whatever its arguments."""
    return lambda *arguments, **keywords: class_()


KNOWN = {
    "GUID": Text36,
    "JSONDict": Json,
    "JSONList": Json,
    "NaiveDateTime": plain(sa.DateTime),
    "UTCDateTime": plain(sa.DateTime),
    "UUIDType": plain(sa.LargeBinary),
    "URLType": sa.Text,
    "Table": sa.Table,
    "db": sa,
    "naming_convention": {},
    "slugify": lambda text, **options: text.lower(),
    "time_utcnow": lambda: "2024-01-01 00:00:00.000000",
}


class StandIn(types.ModuleType):
    """A module of the application: its types are plain ones, its texts are words."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in KNOWN:
            return KNOWN[name]
        if name.isupper():
            return name.lower()
        if name[0].isupper():
            return type(name, (), {})
        return StandIn(f"{self.__name__}.{name}")

    def __call__(self, *arguments, **keywords):
        return self


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for whatever the application's packages are asked for."""

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


@contextmanager
def stock(url):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection, {}
    engine.dispose()


@contextmanager
def keel(url):
    import flask_keel.sqlite.impl  # noqa: F401  (registers itself)
    from flask_keel.sqlite import transaction

    engine = transaction.engine(sa.make_url(url))
    with transaction.connect(engine) as connection:
        yield connection, {"transactional_ddl": True, "transaction_per_migration": False}


def run(environment, connection, ours):
    if not ours:
        environment.run_migrations()
        return
    from flask_keel import runner
    from flask_keel.project import keep_one_transaction
    from flask_keel.sqlite import foreign_key_check

    context = environment.get_context()
    keep_one_transaction(context)
    watch = foreign_key_check.Watch(connection, context.impl.key_watch, None)
    with runner.guarded(connection, connection.engine):
        environment.run_migrations()
    watch.require_whole()


def main(way, url, versions, scripts, convention, packages):
    numbers = count(1)
    uuid.uuid4 = lambda: uuid.UUID(int=next(numbers))  # the same rows in both databases
    sys.meta_path.insert(0, Finder(set(json.loads(packages))))
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("version_locations", versions)
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    metadata = sa.MetaData(naming_convention=json.loads(convention) or None)
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    print(json.dumps(revisions), flush=True)
    ours = way == "keel"
    for line in sys.stdin:
        order = json.loads(line)
        revision = script.get_revision(order["revision"])
        make = MigrationStep.upgrade_from_script if order["up"] else None
        make = make or MigrationStep.downgrade_from_script
        step = make(script.revision_map, revision)

        def steps(applied, context, step=step):
            return [step]

        steps.__name__ = "upgrade" if order["up"] else "downgrade"
        error = None
        try:
            with (
                (keel if ours else stock)(url) as (connection, options),
                EnvironmentContext(config, script, fn=steps) as environment,
            ):
                environment.configure(
                    connection=connection,
                    target_metadata=metadata,
                    render_as_batch=True,
                    **options,
                )
                with environment.begin_transaction():
                    run(environment, connection, ours)
        except Exception as raised:
            error = f"{type(raised).__name__}: {' '.join(str(raised).split())}"
        print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
