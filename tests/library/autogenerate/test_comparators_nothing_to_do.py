"""What was created from the models is what the models have: a second comparison finds nothing."""

import databases
import sqlalchemy as sa

from .compared import model

DEFAULTS = {
    "apostrophe": (sa.String(20), "it's"),
    "empty": (sa.String(20), ""),
    "colon": (sa.String(20), "a:b"),
    "percent": (sa.String(20), "100%"),
    "placeholder": (sa.String(20), "%(x)s"),
    "quoted": (sa.String(20), "'x'"),
    "one_quote": (sa.String(20), "'"),
    "double_quoted": (sa.String(20), '"x"'),
    "backslash": (sa.String(20), "a\\:b"),
    "parentheses": (sa.String(20), "(x)"),
    "digits": (sa.String(20), "1"),
    "word": (sa.String(20), "NULL"),
    "text_literal": (sa.String(20), sa.text("'a\\:b'")),
    "literal": (sa.String(20), sa.literal("it's 5%")),
    "expression": (sa.String(40), sa.text("(lower('A') || 'x')")),
    "integer": (sa.Integer, "0"),
    "integer_text": (sa.Integer, sa.text("0")),
    "negative": (sa.Integer, "-5"),
    "negative_text": (sa.Integer, sa.text("-5")),
    "sum": (sa.Integer, sa.text("(1 + 2)")),
    "real": (sa.Float, "1.0"),
    "real_text": (sa.Float, sa.text("1.0")),
    "numeric": (sa.Numeric(10, 2), "1.50"),
    "numeric_negative": (sa.Numeric(10, 2), sa.text("-1.5")),
    "true": (sa.Boolean, sa.true()),
    "false": (sa.Boolean, sa.false()),
    "boolean_digit": (sa.Boolean, sa.text("'1'")),
    "null": (sa.String(20), sa.text("NULL")),
    "null_element": (sa.Integer, sa.null()),
    "now": (sa.DateTime, sa.func.now()),
    "current_timestamp": (sa.DateTime, sa.text("CURRENT_TIMESTAMP")),
    "current_date": (sa.Date, sa.text("(CURRENT_DATE)")),
    "date": (sa.Date, "2024-01-02"),
    "datetime": (sa.DateTime, "2024-01-02 03:04:05"),
    "function": (sa.Integer, sa.func.abs(-3)),
    "json": (sa.JSON, '{"a": "it\'s", "b": [1, 2]}'),
    "enum": (sa.Enum("a", "b", name="letter"), "b"),
    "enum_check": (sa.Enum("a", "b", name="kind", native_enum=False, create_constraint=True), "a"),
}
ONLY = {
    "sqlite": {
        "random": (sa.String(32), sa.text("(lower(hex(randomblob(16))))")),
        "strftime": (sa.DateTime, sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))")),
        "real_exponent": (sa.Float, sa.text("1e5")),
        "blob": (sa.LargeBinary, sa.text("x'00ff'")),
    },
    "postgresql": {
        "uuid": (sa.Uuid, sa.text("gen_random_uuid()")),
        "cast": (sa.String(20), sa.text("'x'::varchar")),
        "zone": (sa.DateTime(timezone=True), sa.text("(now() at time zone 'utc')")),
        "interval": (sa.Interval, sa.text("'1 day'")),
        "array": (sa.ARRAY(sa.Integer), sa.text("'{}'")),
        "concat": (sa.Text, sa.text("'a' || 'b%' || 'c\\:d'")),
        "clock": (sa.DateTime, sa.func.clock_timestamp()),
    },
    "mysql": {
        "uuid": (sa.String(36), sa.text("(uuid())")),
        "on_update": (
            sa.TIMESTAMP,
            sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"),
        ),
        "rand": (sa.Float, sa.text("(rand())")),
        "concat": (sa.String(20), sa.text("(concat('a', '5%', 'c\\:d'))")),
    },
}
TYPES = [
    sa.BigInteger(),
    sa.Boolean(),
    sa.Boolean(create_constraint=True, name="flag"),
    sa.Date(),
    sa.DateTime(),
    sa.DateTime(timezone=True),
    sa.Double(),
    sa.Enum("it's", "b:c", "5%", name="odd"),
    sa.Enum("x", "y", name="plain", native_enum=False),
    sa.Enum("it's", "b:c", "5%", name="checked", native_enum=False, create_constraint=True),
    sa.Float(),
    sa.Float(24),
    sa.Integer(),
    sa.Interval(),
    sa.JSON(),
    sa.LargeBinary(),
    sa.Numeric(),
    sa.Numeric(12, 4),
    sa.PickleType(),
    sa.REAL(),
    sa.SmallInteger(),
    sa.String(1),
    sa.String(255),
    sa.Text(),
    sa.Time(),
    sa.TIMESTAMP(),
    sa.Unicode(40),
    sa.UnicodeText(),
    sa.Uuid(),
    sa.CHAR(3),
    sa.DECIMAL(8, 3),
    sa.NUMERIC(5),
    sa.LargeBinary(16),
    sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    sa.JSON().with_variant(sa.Text(), "mysql"),
]


def test_server_defaults(bench):
    there = {**DEFAULTS, **ONLY[bench.kind if bench.kind != "mariadb" else "mysql"]}
    if bench.kind in ("mysql", "mariadb"):
        there["expression"] = (sa.String(40), sa.text("(concat(lower('A'), 'x'))"))
        there["function"] = (sa.Integer, sa.text("(abs(-3))"))
    if databases.MYSQLD and bench.kind in ("mysql", "mariadb"):
        there["json"] = (sa.JSON, sa.text("(_utf8mb4'[1]')"))
    if bench.kind == "postgresql":
        there["real_exponent"] = (sa.Float, sa.text("1e5"))
        there["boolean_digit"] = (sa.Boolean, sa.text("true"))
    columns = [
        sa.Column(name, kind, server_default=default) for name, (kind, default) in there.items()
    ]
    metadata = model(*columns)
    bench.create(metadata)
    assert bench.changes(metadata) == ["pass"]
    # and a file that makes the same table makes the same defaults
    bench.run("DROP TABLE t", *(["DROP TYPE letter"] if bench.kind == "postgresql" else []))
    bench.written(metadata)
    bench.apply(metadata, bench.code[0])
    assert bench.changes(metadata) == ["pass"]


def test_types(bench):
    metadata = model(*(sa.Column(f"c{number}", kind) for number, kind in enumerate(TYPES)))
    bench.create(metadata)
    assert bench.changes(metadata) == ["pass"]


def test_nullable_and_not(bench):
    metadata = model(
        sa.Column("a", sa.String(5), nullable=False, server_default=""),
        sa.Column("b", sa.Integer, nullable=False, index=True),
        sa.Column("c", sa.Integer, sa.ForeignKey("t.id"), unique=True),
        sa.Column("d", sa.TIMESTAMP, nullable=False, server_default=sa.func.now()),
    )
    bench.create(metadata)
    assert bench.changes(metadata) == ["pass"]
