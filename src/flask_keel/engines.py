"""How the running application opens its databases. On SQLite: with its safety on."""

from sqlite3 import Connection as SQLiteConnection

from flask import Flask

from . import loading

with loading.quietly():  # the first that a generated application imports of SQLAlchemy
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import Connection, event

from .settings import ConfigError


def init_app(app: Flask, db: SQLAlchemy) -> None:
    """Bind ``db`` to the application, and give each SQLite engine what its safety needs.

    Foreign keys, write-ahead logging, patience of five seconds, and transactions that begin where
    SQLAlchemy says.

    :param db: the ``flask_sqlalchemy.SQLAlchemy`` object
    :raises ConfigError: when the database engine does not take what the settings give it
    """
    try:
        db.init_app(app)
    except Exception as error:
        said = " ".join(str(error).split())
        where = app.config.get("SETTINGS", "The configuration")
        raise ConfigError(
            f"{where}: the database engine does not take its options ({said}); "
            "mend SQLALCHEMY_ENGINE_OPTIONS or SQLALCHEMY_BINDS and try again."
        ) from error
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _connect)
                event.listen(engine, "begin", _begin)


def _connect(connection: SQLiteConnection, record: object) -> None:
    # the driver would begin transactions late and leave DDL outside of them:
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
