import pytest

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import Unreadable

from .facts import collations, database, facts, facts_of_text, stored_text
from .torture import ALTERED, STATEMENTS

EVERY_TEXT = {**{name: [sql] for name, sql in STATEMENTS.items()}, **ALTERED}


def read(sql: str) -> CreateTable:
    """What SQLite stores of a statement that it has run."""
    return CreateTable.parse(stored_text(database(sql)))


@pytest.mark.parametrize("statements", EVERY_TEXT.values(), ids=EVERY_TEXT)
def test_what_is_read_is_what_sqlite_says(statements):
    connection = database(*statements)
    table = CreateTable.parse(stored_text(connection))
    assert facts_of_text(table) == facts(connection, table.name)


@pytest.mark.parametrize("statements", EVERY_TEXT.values(), ids=EVERY_TEXT)
def test_collations_are_those_of_sqlite(statements):
    connection = database(*statements)
    table = CreateTable.parse(stored_text(connection))
    read = {c.name: (c.collation or "binary").upper() for c in table.columns}
    assert read == collations(connection, table.name)


@pytest.mark.parametrize("statements", EVERY_TEXT.values(), ids=EVERY_TEXT)
def test_each_part_is_where_it_says(statements):
    sql = stored_text(database(*statements))
    table = CreateTable.parse(sql)
    assert table.sql == sql
    for column in table.columns:
        start, end = column.span
        assert (
            CreateTable.parse(f"CREATE TABLE x ({sql[start:end]})").columns[0].name == column.name
        )
        if column.type_span:
            assert sql[slice(*column.type_span)] == column.type_text
    for constraint in table.all_constraints():
        assert sql[slice(*constraint.span)] == constraint.text
        assert (
            constraint.column is None or constraint in table.column(constraint.column).constraints
        )


@pytest.mark.parametrize("name", [n for n in STATEMENTS if not n.startswith("as select")])
def test_the_text_as_it_was_typed_reads_the_same(name):
    typed, stored = CreateTable.parse(STATEMENTS[name]), read(STATEMENTS[name])
    assert facts_of_text(typed) == facts_of_text(stored)
    assert typed.sql == STATEMENTS[name]


def test_the_head_of_a_statement_is_read():
    table = CreateTable.parse('create temporary table if not exists [a].b("c" int);')
    assert (table.schema, table.name) == ("a", "b")
    assert table.temporary and table.if_not_exists


def test_checks_are_read_with_the_columns_that_they_use():
    table = read(STATEMENTS["checks of the table"])
    assert [(c.name, c.columns) for c in table.constraints] == [
        (None, ("a", "b")),
        ("a b", ("a", "b")),
        (None, ("a",)),
    ]
    assert table.constraints[1].expression == "a <> ')' AND b NOT LIKE '--%'"
    assert table.constraints[2].on_conflict == "IGNORE"


def test_constraints_without_commas_are_told_apart():
    table = read(STATEMENTS["no commas between constraints"])
    assert [(c.kind, c.name) for c in table.constraints] == [
        ("unique", None),
        ("check", None),
        ("check", "c2"),
        ("foreign key", None),
        ("primary key", None),
    ]


def test_of_several_names_the_last_counts_and_all_belong_to_the_constraint():
    table = read(STATEMENTS["several names in a row"])
    assert [c.name for c in table.all_constraints()] == ["two", "four", "six"]
    assert table.column("a").constraints[0].text == "CONSTRAINT one CONSTRAINT two NOT NULL"


def test_a_name_with_nothing_after_it_is_no_constraint():
    table = read(STATEMENTS["a name and nothing after it"])
    assert [(c.kind, c.name) for c in table.all_constraints()] == [("check", None)]


def test_deferrable_clauses_are_read():
    table = read(STATEMENTS["deferred references"])
    assert [c.last("foreign key").deferrable for c in table.columns] == [
        "DEFERRABLE INITIALLY DEFERRED",
        "NOT DEFERRABLE INITIALLY DEFERRED",
        "DEFERRABLE",
        "DEFERRABLE INITIALLY IMMEDIATE",
    ]
    apart = read(STATEMENTS["deferrable apart from its reference"])
    assert apart.column("a").last("foreign key").deferrable == "DEFERRABLE INITIALLY DEFERRED"
    assert apart.column("b").last("foreign key").deferrable is None


def test_conflict_clauses_are_read():
    table = read(STATEMENTS["unique, each way"])
    unique = [c for c in table.all_constraints() if c.kind == "unique"]
    assert [c.on_conflict for c in unique] == [None, "FAIL", None, "ROLLBACK", None]
    assert unique[3].name == "u d"


def test_defaults_are_kept_as_they_are_written():
    texts = [c.default_text for c in read(STATEMENTS["defaults of expressions"]).columns]
    assert texts[0] == "(1 + 2)"
    assert texts[1] == "( ( 3 ) )"
    assert texts[4] == "(/* a ) */ 1 -- b )\n  )"


def test_autoincrement_is_seen_on_its_column():
    for name in ("integer primary key", "autoincrement of the table"):
        assert read(STATEMENTS[name]).column("id").autoincrement
    assert not read(STATEMENTS["plain"]).column("id").autoincrement


@pytest.mark.parametrize(
    ("declared", "alias"),
    [
        ("id INTEGER PRIMARY KEY", True),
        ("id INTEGER PRIMARY KEY DESC", False),
        ("id INTEGER, PRIMARY KEY (id DESC)", True),
        ("id INT PRIMARY KEY", False),
        ("id 'integer' PRIMARY KEY", True),
        ("id INTEGER, b INT, PRIMARY KEY (id, b)", False),
    ],
)
def test_the_rowid_alias_is_the_column_that_sqlite_takes_for_it(declared, alias):
    connection = database(f"CREATE TABLE t ({declared})")
    connection.execute("INSERT INTO t (id) VALUES (7)")
    assert (connection.execute("SELECT rowid FROM t").fetchone() == (7,)) == alias
    assert (CreateTable.parse(stored_text(connection)).rowid_alias is not None) == alias


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIRTUAL TABLE t USING fts5(a)",
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE t (a INT",
        "CREATE TABLE t (a INT))",
        "CREATE TABLE t (a INT) STRICT; DROP TABLE t",
        "CREATE TABLE t (a TEXT DEFAULT 'open)",
        "CREATE TABLE t (a INT CHECK)",
        "CREATE TABLE t (a REFERENCES p, b INT DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE t",
        "",
    ],
)
def test_what_cannot_be_read_is_one_sentence(sql):
    with pytest.raises(Unreadable) as refused:
        CreateTable.parse(sql)
    assert str(refused.value).strip() and "\n" not in str(refused.value)
