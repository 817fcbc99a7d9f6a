import os
import sqlite3

import pytest

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.model import NoSuchPart
from flask_keel.sqlite.tokenizer import Unreadable, tokenize

from .asking import verify
from .changes import every_change
from .facts import database, facts, stored_text
from .torture import ALTERED, STATEMENTS

# every third of the changes of a text, and others of the next text
EACH = 1 if os.environ.get("LONG_DRILLS") else 3
EVERY_TEXT = {**{name: [sql] for name, sql in STATEMENTS.items()}, **ALTERED}


@pytest.mark.parametrize("statements", EVERY_TEXT.values(), ids=EVERY_TEXT)
def test_every_edit_does_what_was_asked_and_no_more(statements):
    connection = database(*statements)
    table = CreateTable.parse(stored_text(connection))
    changes = list(every_change(table, facts(connection, table.name)))
    for asked in changes[len(table.sql) % EACH :: EACH]:
        verify(table, asked)


COMMENTED = """CREATE TABLE post ( -- what people write
  id INTEGER PRIMARY KEY, -- never reused
  -- shown in the list
  title TEXT NOT NULL, -- one line
  body TEXT -- markdown
    DEFAULT '', -- may be long
  CHECK (title <> ''), -- no empty titles
  CONSTRAINT fk FOREIGN KEY (id) REFERENCES p (id) -- one to one
)"""


def edited(edit, sql: str = COMMENTED) -> str:
    """The text after an edit, which SQLite must take."""
    text = edit(CreateTable.parse(sql)).sql
    database(text)
    return text


def test_a_new_column_stands_behind_the_comment_of_the_one_before():
    assert "-- may be long\n  author INT,\n  CHECK" in edited(lambda t: t.add_column("author INT"))
    assert "-- never reused\n  slug TEXT,\n  -- shown" in edited(
        lambda t: t.add_column("slug TEXT", after="id")
    )


def test_a_new_last_item_does_not_fall_into_a_comment():
    assert "(id), -- one to one\n  UNIQUE (title)\n)" in edited(
        lambda t: t.add_constraint("UNIQUE (title)")
    )
    assert edited(lambda t: t.add_column("b INT"), "CREATE TABLE t (a INT -- last\n)") == (
        "CREATE TABLE t (a INT, -- last\n b INT\n)"
    )


def test_a_new_first_column_stands_before_the_comment_that_leads_the_old_one():
    sql = "CREATE TABLE t ( -- what it is\n  -- the key\n  a INT\n)"
    text = edited(lambda t: t.add_column("c INT", before="a"), sql)
    assert text == sql.replace("  -- the key", "  c INT,\n  -- the key")


def test_a_comment_in_front_of_a_comma_stays_with_its_column():
    sql = "CREATE TABLE t (\n  a INT -- first\n, b INT -- second\n)"
    text = edited(lambda t: t.add_column("c INT", after="a"), sql)
    assert text == sql.replace("-- first\n", "-- first\n, c INT\n")


def test_a_dropped_column_takes_its_own_comment_along_and_no_other():
    text = edited(lambda t: t.drop_column("body"))
    assert "markdown" not in text and "may be long" not in text
    for comment in ("what people write", "never reused", "one line", "no empty titles"):
        assert comment in text


def test_a_dropped_last_item_takes_the_comma_before_it():
    text = edited(lambda t: t.drop_constraint(t.constraints[-1]))
    assert text.endswith("CHECK (title <> '') -- no empty titles\n)")


def test_columns_move_with_their_comments():
    text = edited(lambda t: t.reorder(["title", "body", "id"]))
    assert "  -- shown in the list\n  title TEXT NOT NULL, -- one line\n" in text
    assert "id INTEGER PRIMARY KEY, -- never reused\n  CHECK" in text


def test_items_on_one_line_stay_on_one_line():
    sql = "CREATE TABLE t (a INT, b INT, CHECK (a))"
    assert edited(lambda t: t.add_column("c"), sql) == "CREATE TABLE t (a INT, b INT, c, CHECK (a))"
    assert edited(lambda t: t.drop_column("b"), sql) == "CREATE TABLE t (a INT, CHECK (a))"
    assert edited(lambda t: t.add_constraint("UNIQUE (b)"), sql) == (
        "CREATE TABLE t (a INT, b INT, CHECK (a), UNIQUE (b))"
    )


def test_only_the_value_of_a_default_changes():
    sql = "CREATE TABLE t (a INT CONSTRAINT d /* x */ default  (1)  /* y */ not null)"
    assert edited(lambda t: t.set_default("a", "2"), sql) == sql.replace("(1)", "2")
    assert edited(lambda t: t.set_default("a", None), sql) == (
        "CREATE TABLE t (a INT  /* y */ not null)"
    )


def test_a_default_that_is_an_expression_is_put_in_parentheses():
    sql = "CREATE TABLE t (a TEXT)"
    for asked, written in (
        ("lower('A')", "(lower('A'))"),
        ("(1) + (2)", "((1) + (2))"),
        ("'a' || 'b'", "('a' || 'b')"),
        ("('a')", "('a')"),
        ("- 1", "- 1"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("foo", "foo"),
    ):
        assert edited(lambda t, a=asked: t.set_default("a", a), sql) == (
            f"CREATE TABLE t (a TEXT DEFAULT {written})"
        )


def test_a_conflict_clause_stays_unless_another_is_asked_for():
    sql = "CREATE TABLE t (a INT CONSTRAINT n NOT NULL ON CONFLICT IGNORE)"
    assert edited(lambda t: t.set_not_null("a", True), sql) == sql
    assert edited(lambda t: t.set_not_null("a", True, on_conflict="FAIL"), sql) == sql.replace(
        "IGNORE", "FAIL"
    )


def test_a_column_that_says_null_says_not_null_instead():
    assert edited(lambda t: t.set_not_null("a", True), "CREATE TABLE t (a INT NULL)") == (
        "CREATE TABLE t (a INT NOT NULL)"
    )


def test_a_deferrable_clause_goes_with_its_foreign_key():
    sql = "CREATE TABLE t (a REFERENCES p REFERENCES q NOT NULL DEFERRABLE INITIALLY DEFERRED)"
    text = edited(lambda t: t.drop_constraint(t.columns[0].last("foreign key")), sql)
    assert text == "CREATE TABLE t (a REFERENCES p NOT NULL)"
    text = edited(
        lambda t: t.replace_constraint(t.columns[0].last("foreign key"), "REFERENCES q (x)"), sql
    )
    assert text == "CREATE TABLE t (a REFERENCES p REFERENCES q (x) NOT NULL)"


def test_a_generated_column_becomes_a_plain_one_without_a_trace():
    sql = "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a) STORED NOT NULL)"
    text = edited(lambda t: t.drop_constraint(t.column("b").last("generated")), sql)
    assert text == "CREATE TABLE t (a INT, b INT NOT NULL)"


def test_a_comment_does_not_become_a_part_of_the_type():
    sql = "CREATE TABLE t (a INT, b INT NOT NULL /* twice */ GENERATED ALWAYS AS (a)) STRICT"
    text = edited(lambda t: t.set_not_null("b", False), sql)
    assert text == "CREATE TABLE t (a INT, b INT /* twice */ AS (a)) STRICT"


def test_a_dropped_check_checks_no_more_and_its_neighbour_does():
    sql = "CREATE TABLE t (a INT, CHECK (a > 0) CHECK (a < 9), CHECK (a <> 5))"
    for place, (allowed, refused) in enumerate([(-1, 10), (10, -1), (5, -1)]):
        text = edited(lambda t, i=place: t.drop_constraint(t.constraints[i]), sql)
        connection = database(text)
        connection.execute("INSERT INTO t VALUES (?)", (allowed,))
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO t VALUES (?)", (refused,))


def test_a_column_is_renamed_wherever_the_table_uses_it_as_sqlite_does_itself():
    sql = (
        "CREATE TABLE t (a INT REFERENCES t (a), b AS (abs(a) || \"a\" || 'a'), c TEXT CHECK "
        "(t.a <> 'a' AND length(c) > a(1)), UNIQUE (A), FOREIGN KEY (c, `a`) REFERENCES t (a, c))"
    ).replace(" AND length(c) > a(1)", " AND length(c) > [A]")
    ours = CreateTable.parse(edited(lambda t: t.rename_column("a", "new"), sql))
    connection = database(sql)
    connection.execute("ALTER TABLE t RENAME COLUMN a TO new")
    assert meaning(ours.sql) == meaning(stored_text(connection))
    assert "'a'" in ours.sql


def meaning(sql: str) -> list[str]:
    return [t.name if t.kind in ("word", "quoted") else t.text for t in tokenize(sql)]


def test_a_renamed_table_renames_its_qualifiers_on_demand():
    sql = "CREATE TABLE t (t INT CHECK (t.t > 0 AND t > 1), CHECK (main.t.t < 9))"
    assert CreateTable.parse(sql).rename("new").sql == sql.replace("TABLE t", "TABLE new")
    assert CreateTable.parse(sql).rename("new", qualifiers=True).sql == (
        "CREATE TABLE new (t INT CHECK (new.t > 0 AND t > 1), CHECK (main.new.t < 9))"
    )


def test_a_constraint_found_before_an_edit_can_be_dropped_after_it():
    table = CreateTable.parse(COMMENTED)
    check, key = table.constraints
    text = table.drop_column("body").drop_constraint(check).drop_constraint(key).sql
    assert "CHECK" not in text and "FOREIGN" not in text
    database(text)


def test_the_old_table_is_as_it_was():
    table = CreateTable.parse(COMMENTED)
    table.drop_column("title").rename("other")
    assert table.sql == COMMENTED and table.has_column("TITLE")


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.drop_column("nothing"),
        lambda t: t.set_default("nothing", "1"),
        lambda t: t.add_column("x INT", after="nothing"),
        lambda t: t.reorder(["id", "title"]),
        lambda t: t.reorder(["id", "title", "title"]),
        lambda t: t.drop_column("id").drop_column("title").drop_column("body"),
        lambda t: t.drop_constraint(
            CreateTable.parse("CREATE TABLE t (a UNIQUE)").columns[0].constraints[0]
        ),
    ],
)
def test_what_is_not_there_is_one_sentence(edit):
    with pytest.raises(NoSuchPart) as refused:
        edit(CreateTable.parse(COMMENTED))
    assert '"post"' in str(refused.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.add_column("x INT, y INT"),
        lambda t: t.add_column("x INT CHECK (x > 0"),
        lambda t: t.add_column("x INT) STRICT; --"),
        lambda t: t.add_column("x TEXT DEFAULT 'open"),
        lambda t: t.add_column(""),
        lambda t: t.add_constraint("x INT"),
        lambda t: t.add_constraint("CHECK (1), y INT"),
        lambda t: t.set_default("title", "1)"),
        lambda t: t.set_default("title", "-- nothing"),
        lambda t: t.set_type("title", "TEXT, x INT"),
    ],
)
def test_a_piece_that_does_not_fit_is_refused(edit):
    with pytest.raises(Unreadable):
        edit(CreateTable.parse(COMMENTED))
