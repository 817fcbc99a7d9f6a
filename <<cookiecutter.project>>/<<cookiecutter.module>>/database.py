"""How the running application opens its database. On SQLite: with its safety on."""

from sqlalchemy import event

from .extensions import db


def init_app(app):
    """Give each SQLite engine foreign keys, write-ahead logging, patience and real transactions."""
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _connect)
                event.listen(engine, "begin", _begin)


def _connect(connection, record):
    # the driver would begin transactions late and leave DDL outside of them:
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection):
    connection.exec_driver_sql("BEGIN")
