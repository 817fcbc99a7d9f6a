"""The types of columns: their Python, values, defaults, and what they may become."""

import datetime
import decimal
import json
import uuid
from dataclasses import dataclass, field
from random import Random
from typing import Any

DAY = datetime.date(2024, 1, 1)
NOON = datetime.datetime(2024, 1, 1, 12)


@dataclass
class Kind:
    """A type with its numbers.

    :param many: whether it has more than a handful of values
    """

    name: str
    family: str
    arguments: tuple = ()
    many: bool = True
    rules: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)

    def code(self, uid: int) -> str:
        """The Python of the type; an enum and a boolean are named after their column."""
        said = [repr(part) for part in self.arguments]
        if self.name == "Enum":
            said.append(f"name='e{uid}'")
        if self.name == "CheckedEnum":
            said += ["native_enum=False", "create_constraint=True", f"name='e{uid}'"]
        if self.name == "CheckedBoolean":
            said += ["create_constraint=True", f"name='b{uid}'"]
        if self.name == "Shouted":
            return f"Shouted({self.arguments[0]})"
        if self.name == "JSONB":
            return "sa.JSON().with_variant(JSONB(), 'postgresql')"
        return f"sa.{self.name.removeprefix('Checked')}({', '.join(said)})"

    def indexed(self, dialect: str) -> bool:
        """Whether every database takes an index on it without a word more."""
        return self.name not in ("Text", "LargeBinary", "JSON", "JSONB", "Interval")

    def value(self, number: int) -> Any:
        """A value for the row of a number, other than that of any other number if there are many."""
        match self.name:
            case "SmallInteger" | "Integer":
                return number + 1
            case "BigInteger":
                return 2**53 + number
            case "String" | "Unicode" | "Shouted":
                return f"w{number} it's"[: self.arguments[0]]
            case "Text":
                return f"text {number}: 100% ü\n"
            case "Boolean" | "CheckedBoolean":
                return number % 2 == 0
            case "Float" | "Double":
                return number + 0.25
            case "Numeric":
                return decimal.Decimal(number) + decimal.Decimal("1.5")
            case "Date":
                return DAY + datetime.timedelta(days=number)
            case "DateTime":
                return NOON + datetime.timedelta(minutes=number)
            case "Time":
                return (NOON + datetime.timedelta(minutes=number)).time()
            case "Interval":
                return datetime.timedelta(hours=number + 1)
            case "LargeBinary":
                return bytes([number % 250, 255, 0, 39])
            case "Enum" | "CheckedEnum":
                return self.arguments[number % len(self.arguments)]
            case "JSON" | "JSONB":
                return {"n": number, "a": [1, None, "ü"]}
            case "Uuid":
                return uuid.UUID(int=number + 16**31)
        raise AssertionError(self.name)

    def text(self, number: int) -> str:
        """A value as it is typed after fill=."""
        found = self.value(number)
        if isinstance(found, bytes):
            return f"b{number}"
        if isinstance(found, datetime.timedelta):
            return str(found.total_seconds())
        return json.dumps(found) if isinstance(found, dict) else str(found)

    def server_default(self, random: Random, dialect: str) -> str | None:
        """A default of the server, as Python; None where there is none to be had everywhere."""
        number = random.randint(0, 3)
        match self.family:
            case "integer":
                return random.choice([f"'{number}'", f"sa.text('{number}')"])
            case "text" if self.name != "Text":
                return random.choice(["'none'", "''", "sa.text(\"'it''s'\")", "'a:b 5%'"])
            case "boolean":
                return random.choice(["sa.true()", "sa.false()"])
            case "number":
                return random.choice(["'1.5'", "sa.text('0')", "sa.text('1.10')", "'-2'"])
            case "enum":
                return repr(self.arguments[0])
        return {
            "Date": "'2024-02-03'",
            "DateTime": random.choice(["sa.func.now()", "'2024-02-03 04:05:06'"]),
            "Time": "'04:05:06'",
        }.get(self.name)


WORD = [
    "{c} <> ':x 5%'",
    "length({c}) < 500",
    "{c} NOT LIKE 'zz%'",
    "{c} IS NULL OR {c} <> 'it''s'",
]
COUNT = ["{c} > -1000", "{c} BETWEEN -5 AND 9007199254750000", "{c} <> -7", "{c} NOT IN (-1, -2)"]
RULES = {"text": WORD, "integer": COUNT, "number": ["{c} > -1000"], "enum": []}
COMPUTED = {"integer": ["{c} + 1", "{c} * 2"], "text": ["lower({c})", "upper({c})"]}
FAMILIES = {
    "integer": ("SmallInteger", "Integer", "BigInteger"),
    "text": ("String", "Unicode", "Text", "Shouted"),
    "boolean": ("Boolean", "CheckedBoolean"),
    "number": ("Float", "Double", "Numeric"),
    "time": ("Date", "DateTime", "Time", "Interval"),
    "binary": ("LargeBinary",),
    "enum": ("Enum", "CheckedEnum"),
    "json": ("JSON", "JSONB"),
    "uuid": ("Uuid",),
}
FAMILY = {name: family for family, names in FAMILIES.items() for name in names}
LETTERS = [
    "red",
    "green",
    "blue",
    "it's",
    "grün",
    "x:y",
    "5%",
    "a\\b",
    ":c d",
    "e::f",
    "g, h",
    ":i:",
]
# a change that keeps every value that the rows have, or may keep it
WIDER = {
    "SmallInteger": ["Integer", "BigInteger"],
    "Integer": ["BigInteger"],
    "String": ["Text", "String", "Unicode"],
    "Unicode": ["Text", "String", "Shouted"],
    "Shouted": ["String", "Text"],
    "Float": ["Double"],
    "Boolean": ["CheckedBoolean"],
    "CheckedBoolean": ["Boolean"],
    "JSON": ["JSONB"],
    "JSONB": ["JSON"],
}
OTHER = {
    "SmallInteger": ["String", "Numeric", "Boolean", "Float"],
    "Integer": ["SmallInteger", "String", "Text", "Numeric", "Float", "Boolean"],
    "BigInteger": ["Integer", "String", "Numeric", "Float"],
    "String": ["Integer", "CheckedEnum", "Boolean", "LargeBinary", "Date", "JSON", "Uuid"],
    "Text": ["String", "JSON", "LargeBinary", "Integer"],
    "Boolean": ["Integer", "String", "SmallInteger"],
    "Float": ["Numeric", "Integer", "String"],
    "Double": ["Float", "Numeric", "String"],
    "Numeric": ["Integer", "Float", "String", "Numeric"],
    "Date": ["DateTime", "String"],
    "DateTime": ["Date", "String", "Time"],
    "Time": ["String"],
    "LargeBinary": ["Text"],
    "CheckedEnum": ["String"],
    "Enum": ["String", "CheckedEnum"],
    "JSON": ["Text"],
    "Uuid": ["String"],
}


def of(name: str, random: Random | None = None) -> Kind:
    """A kind by its name; with numbers where the type takes some."""
    random = random or Random(0)
    arguments: tuple = ()
    if name in ("String", "Unicode", "Shouted"):
        arguments = (random.choice([12, 20, 40, 80]),)
    if name == "Numeric":
        arguments = random.choice([(10, 2), (12, 4), (20, 6)])
    if name in ("Enum", "CheckedEnum"):
        arguments = tuple(random.sample(LETTERS, random.randint(1, 4)))
    family = FAMILY[name]
    many = family in ("integer", "text", "number", "time", "uuid", "binary")
    rules = list(RULES.get(family, []))
    computed = list(COMPUTED.get(family, [])) if name in ("Integer", "String") else []
    return Kind(name, family, arguments, many, rules, computed)


def draw(random: Random, off: frozenset[str]) -> Kind:
    """Any kind that is not switched off."""
    families = [[name for name in names if name not in off] for names in FAMILIES.values()]
    return of(random.choice(random.choice([names for names in families if names])), random)
