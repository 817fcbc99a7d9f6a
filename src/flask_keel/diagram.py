"""The picture of the models in ``docs/schema.md``, in Mermaid; paracelsus, a tool of development, draws it.

https://github.com/tedivm/paracelsus
"""

import re
from collections.abc import Iterator
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import Column, Enum, ForeignKey, MetaData, Table, UniqueConstraint

from . import history
from .project import Project
from .typing import NamedType, SQLType

# paracelsus' own marks: what stands around them is the owner's
BEGIN, END = "<!-- BEGIN_SQLALCHEMY_DOCS -->", "<!-- END_SQLALCHEMY_DOCS -->"
PART = re.compile(rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
NEW = f"""# The tables

Drawn from the models by `make diagram` (`db diagram`), and held equal by `make check`. What you write outside
of the two marks stays.

{BEGIN}
{END}
"""
NOT_INSTALLED = (
    "paracelsus draws the models and is not installed: type make install (pip install paracelsus)"
)
ANOTHER = "{file} does not show the models as they are: type make diagram (db diagram)"
MOST = 8  # members of an enum


def path(project: Project) -> Path:
    """Return where the file is."""
    name = "schema" if project.bind is None else f"schema-{project.bind}"
    return project.root / "docs" / f"{name}.md"


def write(project: Project) -> bool:
    """Draw the models into the file, which is made where it is not there; return whether it was another.

    :raises CommandError: when paracelsus is not there, or cannot do it
    """
    file = path(project)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    text = NEW if before is None else before
    if not PART.search(text):
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    wanted = PART.sub(lambda _: _drawn(project.metadata), text, count=1)
    if wanted == before:
        return False
    file.parent.mkdir(exist_ok=True)
    history.replace(file, wanted)
    return True


def wrong(project: Project) -> str | None:
    """Say that the file shows other models, without a full stop; a file without the marks shows none.

    :raises CommandError: when paracelsus is not there, or cannot do it
    """
    file = path(project)
    shown = PART.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    if shown is None or shown[0] == _drawn(project.metadata):
        return None
    return ANOTHER.format(file=project.shown(file))


def _drawn(models: MetaData) -> str:
    try:
        from paracelsus.transformers.mermaid import Mermaid
    except ImportError as error:
        raise CommandError(f"{NOT_INSTALLED}.") from error
    try:
        picture = str(Mermaid(_plain(models), "preserve-order", max_enum_members=MOST))
    except Exception as error:
        said = " ".join(str(error).split())
        raise CommandError(f"paracelsus cannot draw the models ({said}): mend them.") from error
    return f"```mermaid\n{picture.rstrip()}\n```\n"


# paracelsus writes names, types and comments as they are, and Mermaid takes no blank in a type or name
# and no quotation mark in a text: the models are drawn from a copy.


def _plain(models: MetaData) -> MetaData:
    plain = MetaData()
    for table in models.sorted_tables:
        Table(_word(table.key), plain, *(_column(table, column) for column in table.columns))
    return plain


def _column(table: Table, column: Column[object]) -> Column[object]:
    alone = any(
        isinstance(rule, UniqueConstraint) and list(rule.columns) == [column]
        for rule in table.constraints
    )
    return Column(
        _word(column.name),
        _type(column.type),
        *_keys(table, column),
        primary_key=column.primary_key,
        unique=bool(column.unique or alone),
        nullable=column.nullable,
        index=column.index,
        comment=_text(column.comment) if column.comment else None,
    )


def _keys(table: Table, column: Column[object]) -> Iterator[ForeignKey]:
    for key in sorted(column.foreign_keys, key=lambda key: key.target_fullname):
        parent, _, name = key.target_fullname.rpartition(".")
        if parent in table.metadata.tables:
            yield ForeignKey(f"{_word(parent)}.{_word(name)}")


def _type(given: SQLType) -> SQLType:
    if isinstance(given, Enum):
        return Enum(*map(_text, given.enums))
    try:
        return NamedType(_word(str(given), "()-"))
    except Exception:  # one that only a database can write
        return NamedType(type(given).__name__)


def _word(text: str, more: str = "") -> str:
    return re.sub(rf"[^\w{re.escape(more)}]+", "_", re.sub(r"\s*,\s*", "-", text)).strip("_")


def _text(text: str) -> str:
    return " ".join(text.replace('"', "'").split())
