"""What an application's models need: a name for each constraint, and every module imported."""

import importlib
import pkgutil
import re
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click
import flask_sqlalchemy
from flask import Flask
from sqlalchemy import CheckConstraint, Constraint, Table
from sqlalchemy.orm import DeclarativeBase

from . import loading

M = TypeVar("M", bound=DeclarativeBase)

if TYPE_CHECKING:

    class SQLAlchemy(flask_sqlalchemy.SQLAlchemy, Generic[M]):
        """Flask-SQLAlchemy's own class; a type checker is told that ``db.Model`` is what it was given.

        mypy wants the plugin ``flask_keel.mypy`` besides.
        """

        Model: type[M]  # type: ignore[assignment]  # theirs knows nothing of the class it was given

        def __init__(
            self, app: Flask | None = None, *, model_class: type[M], **options: Any
        ) -> None: ...

else:
    SQLAlchemy = flask_sqlalchemy.SQLAlchemy


def _check(constraint: Constraint, table: Table) -> str:
    """Name a CHECK that has no name after the words in it, or after its type's column."""
    assert isinstance(constraint, CheckConstraint)
    bound = getattr(constraint, "_type_bound", False)
    column = next(iter(constraint.columns), None) if bound else None
    text = str(constraint.sqltext) if column is None else column.name
    words = "_".join(re.findall(r"\w+", text)).lower()
    others = {
        str(check.name)
        for check in table.constraints - {constraint}
        if isinstance(check, CheckConstraint)
    }
    if len(words) <= 40 and f"ck_{table.name}_{words}" not in others:
        return words
    return f"{words[:31]}_{zlib.crc32(text.encode()):08x}"  # two may begin with the same words


# for MetaData: a constraint without a name cannot be dropped on SQLite
naming_convention: dict[str, str | Callable[[Constraint, Table], str]] = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(check)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
    "check": _check,
}


class ModelError(click.ClickException):
    """A model's module cannot be imported: its name and the error, in one sentence."""


@loading.quietly()
def import_all(package: str) -> None:
    """Import every module of a package, so that no model is forgotten.

    :param package: the name of the package that holds the models, one file each
    :raises ModelError: naming the file that cannot be imported
    """
    found = importlib.import_module(package)
    if not hasattr(found, "__path__"):
        return  # one file: all its models are there
    here = Path(found.__path__[0])
    for folder in (here, *here.rglob("*/")):
        python = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        if python and not (folder / "__init__.py").exists():
            raise ModelError(
                f"{folder} has no __init__.py, so its models would be ignored: "
                f"type touch '{folder / '__init__.py'}'."
            )
    for module in pkgutil.walk_packages([str(here)], f"{package}."):
        name = module.name.removeprefix(f"{package}.")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ModelError(f"{here / name}.py is no module name: rename or delete the file.")
        try:
            importlib.import_module(module.name)
        except Exception as error:
            file = here.joinpath(*name.split("."), *["__init__"] * module.ispkg)
            raise ModelError(_sentence(error, file.with_suffix(".py"))) from error


def _sentence(error: Exception, file: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines = [error.lineno]
    where = f"{file}, line {lines[-1]}" if lines else f"{file}"
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{where}: the model does not import ({said}); mend it and try again."
