"""What kind of value a column holds, read from the database's own word for its type."""

import re
from dataclasses import dataclass, replace

from ..facts import Schema

# the first word or words of a type, in any of the databases, to what it holds
FAMILIES = {
    "int": "int integer smallint bigint tinyint mediumint int2 int4 int8 serial bigserial smallserial",
    "numeric": "numeric decimal dec fixed",
    "float": "float real double float4 float8",
    "bool": "bool boolean",
    "date": "date",
    "datetime": "datetime timestamp timestamptz",
    "time": "time timetz",
    "interval": "interval",
    "year": "year",
    "text": "text varchar char character nvarchar nchar bpchar citext clob string name tinytext "
    "mediumtext longtext unicode",
    "binary": "blob binary varbinary bytea tinyblob mediumblob longblob",
    "json": "json jsonb",
    "uuid": "uuid uniqueidentifier",
    "enum": "enum",
    "set": "set",
    "bit": "bit",
}

FAMILY = {word: family for family, words in FAMILIES.items() for word in words.split()}
BYTES = {"tinyint": 1, "smallint": 2, "int2": 2, "smallserial": 2, "mediumint": 3}
BYTES |= {"bigint": 8, "int8": 8, "bigserial": 8}
LENGTHS = {"tinytext": 63, "tinyblob": 255}  # tinytext: 255 bytes, up to four a character
TYPE = re.compile(r"\s*([a-z_0-9]+)\s*([a-z_ ]*)\s*(?:\(([^)]*)\))?\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """A family of values and its limits: lengths in characters or bytes, digits, labels.

    ``fixed`` is CHAR and BINARY, ``narrow`` MySQL's TIMESTAMP, ``ascii`` text in an old character set,
    ``many`` JSON that is a list.
    """

    family: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    size: int = 4
    unsigned: bool = False
    fixed: bool = False
    ascii: bool = False
    narrow: bool = False
    many: bool = False
    labels: tuple[str, ...] = ()
    type: str = ""

    def limited(self, **limits: object) -> "Kind":
        return replace(self, **limits)


def kind_of(declared: str, dialect: str, schema: Schema | None = None) -> Kind:
    """Return the kind of a declared type.

    :param declared: as the database says it: ``VARCHAR(80)``, ``timestamp without time zone``
    :param dialect: "sqlite", "postgresql", "mysql" or "mariadb"
    :param schema: holds the labels of PostgreSQL's enums and the base types of its domains
    """
    if schema is not None and declared in schema.labels:
        return Kind("enum", labels=schema.labels[declared], type=declared)
    if schema is not None and declared in schema.bases:
        return kind_of(schema.bases[declared], dialect, schema).limited(type=declared)
    if declared.endswith("[]"):
        return Kind("array", type=declared)
    found = TYPE.fullmatch(declared)
    if not found:
        return Kind(_affinity(declared) if dialect == "sqlite" else "other", type=declared)
    word, more, arguments, rest = found.groups()
    word, tail = word.lower(), f"{more} {rest}".lower()
    family = FAMILY.get(word) or (_affinity(declared) if dialect == "sqlite" else "other")
    if word in ("enum", "set"):
        labels = tuple(re.findall(r"'((?:[^']|'')*)'", declared))
        return Kind(family, labels=labels, type=declared)
    if word == "tinyint" and arguments == "1":
        family = "bool"
    if word == "national":
        family = "text"
    numbers = [int(number) for number in re.findall(r"\d+", arguments or "")]
    kind = Kind(family, unsigned="unsigned" in tail, type=declared)
    if family in ("text", "binary", "bit"):
        fixed = word in ("char", "character", "binary", "bit", "nchar", "bpchar")
        fixed = fixed and "varying" not in tail
        default = 1 if fixed or word == "bit" else LENGTHS.get(word)
        return kind.limited(length=numbers[0] if numbers else default, fixed=fixed)
    if family == "numeric":
        precision = numbers[0] if numbers else {"mysql": 10, "mariadb": 10}.get(dialect)
        return kind.limited(precision=precision, scale=numbers[1] if len(numbers) > 1 else 0)
    if family == "int":
        size = BYTES.get(word, 4)
        return kind.limited(size=8 if dialect == "sqlite" and word == "bigint" else size)
    if family == "float":
        single = dialect == "mysql" or dialect == "mariadb"
        return kind.limited(
            size=4 if word in ("real", "float4") or (single and word == "float") else 8
        )
    if family in ("datetime", "time", "interval"):
        # MySQL keeps whole seconds unless told otherwise, and its TIMESTAMP ends in 2038
        mysql = dialect in ("mysql", "mariadb")
        precision = numbers[0] if numbers else (0 if mysql else 6)
        return kind.limited(precision=precision, narrow=mysql and word == "timestamp")
    return kind


def _affinity(declared: str) -> str:
    # https://sqlite.org/datatype3.html#determination_of_column_affinity
    text = declared.upper()
    if "INT" in text:
        return "int"
    if any(part in text for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in text or not text.strip():
        return "binary"
    if any(part in text for part in ("REAL", "FLOA", "DOUB")):
        return "float"
    return "numeric"
