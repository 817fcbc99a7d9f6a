"""The extensions of the application."""

from pathlib import Path

from flask_keel import Keel, SQLAlchemy, naming_convention
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Every constraint gets a name: one without a name cannot be dropped on SQLite."""

    metadata = MetaData(naming_convention=naming_convention)


db = SQLAlchemy(model_class=Base)  # Flask-SQLAlchemy's; type checkers know db.Model
keel = Keel(
    db=db,
    directory=Path(__file__).parent / "migrations",
    seed="<<cookiecutter.module>>.seed:seed",
)
