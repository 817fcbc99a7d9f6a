"""Random operations of Alembic's, each with what a table has to be and to hold after it."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from flask_keel.sqlite.introspection import affinity
from flask_keel.sqlite.tokenizer import fold, quote

from .shapes import Column, Converter, Part, Row, Shape, words
from .strategies import CHECKS

DEFAULTS = ["NULL", "'new'", "5", "-1.5", "'7'", "x'00'", "1.10", "1e3", "-0.0", "(1 + 1)", "word"]
TYPES = ["INT", "INTEGER", "BIGINT", "TEXT", "VARCHAR(99)", "BLOB", "REAL", "DOUBLE"]
TYPES += ["NUMERIC(9, 2)", "BOOLEAN", "DECIMAL", "FLOAT", "DATE"]
STRICT_TYPES = ["INT", "INTEGER", "TEXT", "BLOB", "REAL", "ANY"]
OF_SQLALCHEMY = [sa.Integer(), sa.String(20), sa.Text(), sa.Numeric(9, 2), sa.Float(), sa.Date()]
OF_SQLALCHEMY += [sa.LargeBinary(), sa.BigInteger(), sa.DateTime(), sa.Boolean(), sa.JSON()]
NEW_NAMES = ["fresh", "Fresh 2", "select", 'q"uote', "größer", "neu,er"]
TARGETS = [("p", ("id",)), ("p", ("code",)), ("p", ("a b",)), ("q", ("x",))]


class Written(sa.types.UserDefinedType):
    """A type as it is written, of which SQLAlchemy knows nothing."""

    cache_ok = True

    def __init__(self, text: str):
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


@dataclass
class Change:
    """One call: ``make`` makes it on ``op`` or within a batch, ``on`` is the batch or ``op``.

    ``shape`` and ``rows`` do to the expectation what the call should do to the table; ``back`` is
    the change that undoes it.
    """

    says: str
    make: Callable[[Any, tuple], None]
    shape: Callable[[Shape], None]
    rows: Callable[[list[Row], Converter], None] = lambda rows, convert: None
    back: "Change | None" = None
    batch_only: bool = False
    converts: bool = False
    renumbers: bool = False
    options: dict[str, bool] = field(default_factory=dict)
    new_name: str | None = None

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.says)


def _alter(column: str, shape, rows=lambda rows, convert: None, **what) -> Change:
    said = {key: getattr(value, "text", value) for key, value in what.items()}
    return Change(
        f"alter_column({column!r}, {said})",
        lambda on, table: on.alter_column(*table, column, **what),
        shape,
        rows,
    )


def _set(name: str, **facts) -> Callable[[Shape], None]:
    return lambda shape: shape.replace(name, replace(shape.column(name), **facts))


def nullable(shape: Shape, c: Column, wanted: bool) -> Change:
    found = _alter(c.name, _set(c.name, not_null=not wanted), nullable=wanted)
    if c.not_null == wanted:
        found.back = _alter(c.name, _set(c.name, not_null=c.not_null), nullable=not c.not_null)
    return found


def default(shape: Shape, c: Column, text: str | None) -> Change:
    def of(value: str | None) -> Change:
        given = None if value is None else sa.text(value)
        facts = {"default": words(value), "default_text": value}
        return _alter(c.name, _set(c.name, **facts), server_default=given)

    found = of(text)
    found.back = of(c.default_text)
    return found


def type_(shape: Shape, c: Column, wanted: str | sa.types.TypeEngine) -> Change:
    def of(value) -> Change:
        given = Written(value) if isinstance(value, str) else value
        text = value if isinstance(value, str) else str(value)

        def convert_rows(rows: list[Row], convert: Converter) -> None:
            for row in rows:
                kind, _, value = row[c.name]
                if kind == "new":
                    continue
                if isinstance(given, sa.LargeBinary) and isinstance(value, str):
                    value = value.encode(errors="surrogateescape")
                elif isinstance(given, sa.String) and affinity(c.type) == "BLOB":
                    value = _decoded(value)
                # what a STRICT table cannot hold is refused, unless the column goes in the same batch
                with suppress(sqlite3.IntegrityError):
                    row[c.name] = convert(text, value)

        def shaped(shape: Shape) -> None:
            _set(c.name, type=text)(shape)
            if fold(text) != "integer":  # no other key counts
                shape.parts = [p for p in shape.parts if (p.kind, p.uses) != counts]

        made = _alter(c.name, shaped, convert_rows, type_=given)
        made.converts = True
        made.renumbers = is_key and fold(text) == "integer"  # it becomes the rowid
        made.says += f" to {text}"
        return made

    counts = ("autoincrement", frozenset({c.name}))
    is_key = any((p.kind, p.uses) == ("primary key", {c.name}) for p in shape.parts)
    found = of(wanted)
    counted = any((p.kind, p.uses) == counts for p in shape.parts)
    found.back = of(c.type) if c.type and not counted else None
    return found


def _decoded(value: object) -> object:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def rename(shape: Shape, c: Column, new: str) -> Change:
    def of(old: str, new: str) -> Change:
        def rename_shape(shape: Shape) -> None:
            shape.replace(fold(old), replace(shape.column(fold(old)), name=fold(new)))
            shape.renamed(fold(old), fold(new))
            uses = {fold(old): fold(new)}
            shape.parts = [
                replace(p, uses=frozenset(uses.get(name, name) for name in p.uses))
                for p in shape.parts
            ]

        def rename_rows(rows: list[Row], convert: Converter) -> None:
            for row in rows:
                row[fold(new)] = row.pop(fold(old))

        return _alter(old, rename_shape, rename_rows, new_column_name=new)

    found = of(c.name, new)
    found.back = of(new, c.name)
    return found


def add(shape: Shape, name: str, type_text: str, text: str | None, not_null: bool, where) -> Change:
    def make(on, table) -> None:
        given = None if text is None else sa.text(text)
        column = sa.Column(name, Written(type_text), server_default=given, nullable=not not_null)
        on.add_column(*table, column, **where)

    def add_shape(shape: Shape) -> None:
        new = Column(fold(name), type_text, not_null, words(text), default_text=text)
        names = [c.name for c in shape.columns]
        place = len(names)
        if where:
            ((side, other),) = where.items()
            place = names.index(fold(other)) + (side == "insert_after")
        shape.columns.insert(place, new)

    def add_rows(rows: list[Row], convert: Converter) -> None:
        value = ("new", "new", None) if text is None else _as_added(type_text, text, convert.option)
        for row in rows:
            row[fold(name)] = value

    says = f"add_column({name!r}, {type_text}, DEFAULT {text}, {where})"
    found = Change(says, make, add_shape, add_rows, batch_only=bool(where))
    found.back = drop(shape, fold(name))
    return found


def _as_added(type_text: str, text: str, option: str) -> tuple:
    """What the rows that are there read in a column that ADD COLUMN adds."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.executescript(f"CREATE TABLE t (x ANY) {option}; INSERT INTO t VALUES (1)")
    try:
        raw.execute(f"ALTER TABLE t ADD COLUMN v {type_text} DEFAULT {text}")
    except sqlite3.Error:  # no constant, so that a rebuild inserts it
        raw.executescript(f"DROP TABLE t; CREATE TABLE t (v {type_text} DEFAULT {text}) {option}")
        raw.execute("INSERT INTO t DEFAULT VALUES")
    return raw.execute("SELECT typeof(v), quote(v), v FROM t").fetchone()


def drop(shape: Shape, name: str) -> Change:
    def drop_rows(rows: list[Row], convert: Converter) -> None:
        for row in rows:
            del row[name]

    return Change(
        f"drop_column({name!r})",
        lambda on, table: on.drop_column(*table, name),
        lambda shape: shape.without(name),
        drop_rows,
    )


def _without_part(kind: str, name: str) -> Callable[[Shape], None]:
    def gone(shape: Shape) -> None:
        shape.parts = [p for p in shape.parts if (p.kind, fold(p.name or "")) != (kind, fold(name))]

    return gone


def drop_part(part: Part) -> Change:
    says = f"drop_constraint({part.name!r}, {part.kind})"
    if part.kind == "index":
        return Change(
            f"drop_index({part.name!r})",
            lambda on, table: on.drop_index(part.name, *table),
            _without_part(part.kind, part.name),
        )
    kind = {"foreign key": "foreignkey"}.get(part.kind, part.kind)
    return Change(
        says,
        lambda on, table: on.drop_constraint(part.name, *table, type_=kind),
        _without_part(part.kind, part.name),
    )


def _created(part: Part, make) -> Change:
    found = Change(f"create {part}", make, lambda shape: shape.parts.append(part))
    found.back = drop_part(part)
    return found


def check(shape: Shape, name: str, text: str, uses: set[str]) -> Change:
    part = Part("check", name, words(text), frozenset(uses))
    return _created(part, lambda on, table: on.create_check_constraint(name, *table, text))


def unique(shape: Shape, name: str, columns: list[str]) -> Change:
    part = Part("unique", name, tuple(columns), frozenset(columns))
    return _created(part, lambda on, table: on.create_unique_constraint(name, *table, columns))


def foreign_key(shape: Shape, name: str, column: str, target: tuple, cascade: bool) -> Change:
    parent, referred = target
    says = (column, "to", parent, *referred, *(["0 cascade"] if cascade else []))
    part = Part("foreign key", name, says, frozenset({column}))

    def make(on, table) -> None:
        on.create_foreign_key(
            name, *table, parent, [column], list(referred), ondelete="CASCADE" if cascade else None
        )

    return _created(part, make)


def index(
    shape: Shape, name: str, columns: list[str], is_unique: bool, where: str | None
) -> Change:
    says = [str((int(is_unique),)), "("]
    for column in columns:
        says += [column, ","]
    says = [*says[:-1], ")", *(["where", *words(where)] if where else [])]
    part = Part("index", name, tuple(says), frozenset(columns))
    more = {"sqlite_where": sa.text(where)} if where else {}
    return _created(
        part,
        lambda on, table: on.create_index(name, *table, columns, unique=is_unique, **more),
    )


def option(shape: Shape, word: str, wanted: bool) -> Change:
    """An option of the table, which only a batch can ask for."""
    given = {f"sqlite_{word}": wanted}
    if word == "without_rowid":
        given = {"sqlite_with_rowid": not wanted}

    def shaped(shape: Shape) -> None:
        if word == "autoincrement":
            shape.parts = [p for p in shape.parts if p.kind != "autoincrement"]
            key = next((p for p in shape.parts if p.kind == "primary key"), None)
            refers = [p.says[: p.says.index("to")] for p in shape.parts if p.kind == "foreign key"]
            # for SQLAlchemy it means nothing where the key is of several columns, a foreign key or no integer
            of_one = wanted and key and len(key.uses) == 1
            if (
                of_one
                and not key.uses & {n for own in refers for n in own}
                and any(
                    c.name in key.uses and "int" in (c.type or "").lower() for c in shape.columns
                )
            ):
                shape.parts.append(Part("autoincrement", None, (), key.uses))
            return
        text = word.upper().replace("_", " ")
        shape.options = shape.options - {text} | ({text} if wanted else set())

    def no_rowid(rows: list[Row], convert: Converter) -> None:
        for row in rows:
            if word == "without_rowid":
                row.pop(" rowid", None)

    return Change(f"{given}", lambda on, table: None, shaped, no_rowid, options=given)


def without_key(shape: Shape, part: Part) -> Change:
    def gone(shape: Shape) -> None:
        shape.parts = [p for p in shape.parts if p.kind not in ("primary key", "autoincrement")]

    return Change(
        f"drop_constraint({part.name!r}, primary)",
        lambda on, table: on.drop_constraint(part.name, *table, type_="primary"),
        gone,
    )


def rename_table(shape: Shape, new: str) -> Change:
    """Only the last of what is asked, since the calls name the table."""

    def renamed(shape: Shape) -> None:
        shape.renamed(shape.name, fold(new))
        shape.name = fold(new)

    found = Change(
        f"rename_table to {new!r}", lambda on, table: on.rename_table(*table, new), renamed
    )
    found.new_name = new
    return found


@st.composite
def changes(draw, shape: Shape, number: int) -> Change:
    """One change of the table as it is expected to be by now."""

    def pick(choices):
        return draw(st.sampled_from(choices))

    kinds = ["nullable", "default", "type", "rename", "add", "drop", "part", "check", "unique"]
    kinds += ["key", "index", "option", "without key", "nullable", "default", "type"]
    kind, c = pick(kinds), pick(shape.columns)
    names = [column.name for column in shape.columns]
    types = STRICT_TYPES if "STRICT" in shape.options else TYPES
    named = [p for p in shape.parts if p.name and _is_alone(shape, p)]
    if kind == "nullable":
        return nullable(shape, c, draw(st.booleans()))
    if kind == "default" and not c.generated:
        return default(shape, c, pick([*DEFAULTS, None, None, "CURRENT_TIMESTAMP"]))
    if kind == "type":
        return type_(shape, c, pick([*types, *types, *OF_SQLALCHEMY]))
    if kind == "rename":
        return rename(shape, c, f"{pick(NEW_NAMES)} {number}")
    if kind == "drop":
        return drop(shape, c.name)
    if kind == "part" and named:
        return drop_part(pick(named))
    key = [p for p in shape.parts if p.kind == "primary key" and p.name]
    if kind == "without key" and key and key[0].name:
        return without_key(shape, key[0])
    if kind == "option":
        return option(
            shape, pick(["strict", "without_rowid", "autoincrement"]), draw(st.booleans())
        )
    name = f"{pick(NEW_NAMES)} {number}"
    if kind == "check":
        text = pick([*CHECKS, "{c} IS NOT NULL OR 1", "length({c}) < 99 OR {c} IS NULL"])
        if "{d}" in text:
            text = "{c} IS NOT 'zz'"
        text = text.format(c=quote(c.name), t=quote(shape.name), n="")
        return check(shape, name, text, {c.name})
    if kind == "unique":
        return unique(shape, name, list(dict.fromkeys([c.name, pick(names)])))
    if kind == "key":
        return foreign_key(shape, name, c.name, pick(TARGETS), draw(st.booleans()))
    if kind == "index":
        listed = list(dict.fromkeys([c.name, pick(names)]))
        where = pick([None, None, f"{quote(c.name)} IS NOT NULL"])
        return index(shape, name, listed, draw(st.integers(1, 4)) == 4, where)
    where = {}
    if draw(st.integers(1, 3)) == 3:
        where = {pick(["insert_before", "insert_after"]): c.name}
    text = pick([*DEFAULTS, None, None])
    if "STRICT" in shape.options:
        text = None
    return add(shape, name, pick(types), text, text is not None and draw(st.booleans()), where)


def _is_alone(shape: Shape, part: Part) -> bool:
    named = [p for p in shape.parts if p.name and fold(p.name) == fold(part.name)]
    return len(named) == 1 and part.kind != "primary key"
