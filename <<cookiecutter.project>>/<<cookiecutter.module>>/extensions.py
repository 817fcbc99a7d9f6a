"""The extensions of the application."""

import re
import zlib

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy.orm import DeclarativeBase

from .config import ConfigError


def _check(constraint, table):
    """Name a CHECK that has no name after the words in it, or after its type's column."""
    bound = getattr(constraint, "_type_bound", False)
    column = next(iter(constraint.columns), None) if bound else None
    text = str(constraint.sqltext) if column is None else column.name
    words = "_".join(re.findall(r"\w+", text)).lower()
    others = {str(check.name) for check in table.constraints - {constraint} if _is_check(check)}
    if len(words) <= 40 and f"ck_{table.name}_{words}" not in others:
        return words
    return f"{words[:31]}_{zlib.crc32(text.encode()):08x}"  # two may begin with the same words


def _is_check(constraint):
    return isinstance(constraint, CheckConstraint)


class Base(DeclarativeBase):
    """Every constraint gets a name: one without a name cannot be dropped on SQLite."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(check)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
            "check": _check,
        }
    )


db = SQLAlchemy(model_class=Base)


def init_app(app):
    """Bind the extensions to the application.

    :raises config.ConfigError: when the database engine does not take what the settings give it
    """
    try:
        db.init_app(app)
    except Exception as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"{app.config['SETTINGS']}: the database engine does not take its options ({said}); "
            "mend SQLALCHEMY_ENGINE_OPTIONS or SQLALCHEMY_BINDS and try again."
        ) from error
