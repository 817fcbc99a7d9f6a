import sqlite3

import pytest

from flask_keel.sqlite.tokenizer import (
    FALLBACK,
    KEYWORDS,
    RESERVED,
    fold,
    identifiers,
    in_style,
    quote,
    rename_identifier,
    same,
    tokenize,
    unquote,
)

AWKWARD = ["a", "A b", 'say "hi"', "it's", "back`tick", "x]y", "größe", "a,b", "--", "/*", "key"]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_quoted_name_is_the_name(name):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t ({quote(name)} INT)")
    assert connection.execute("PRAGMA table_info(t)").fetchone()[1] == name
    assert unquote(quote(name)) == name


@pytest.mark.parametrize(
    ("token", "name"),
    [("a", "a"), ('"a""b"', 'a"b'), ("'it''s'", "it's"), ("`a``b`", "a`b"), ('[a"b]', 'a"b')],
)
def test_every_kind_of_quotes_is_taken_off(token, name):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t ({token} INT)")
    assert connection.execute("PRAGMA table_info(t)").fetchone()[1] == name
    assert unquote(token) == name


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_keywords_are_reserved_where_sqlite_says_so(word):
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"CREATE TABLE t (x INT, {word} INT)")
        taken = [row[1] for row in connection.execute("PRAGMA table_info(t)")] == ["x", word]
    except sqlite3.OperationalError:
        taken = False
    assert taken == (word in FALLBACK) != (word in RESERVED)


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_a_keyword_as_a_new_name_is_quoted(word):
    assert in_style(word.lower(), "bare") == quote(word.lower())


def test_names_compare_as_in_sqlite():
    connection = sqlite3.connect(":memory:")
    pairs = [("a", "A"), ("ä", "Ä"), ("\u0131", "I"), ("\u017f", "s"), ("k", "\u212a"), ("ß", "SS")]
    for one, other in pairs:
        try:
            connection.execute(f"CREATE TABLE t ({one} INT, {other} INT)")
            connection.execute("DROP TABLE t")
            equal = False
        except sqlite3.OperationalError:
            equal = True
        assert same(one, other) == (fold(one) == fold(other)) == equal


def test_numbers_of_every_form_are_one_token():
    numbers = ["1", "1.", ".5", "1.5e10", "1E-5", "0x1F", "1_000", "9223372036854775808"]
    assert [t.text for t in tokenize(" ".join(numbers))] == numbers
    assert {t.kind for t in tokenize(" ".join(numbers))} == {"number"}


EXPRESSIONS = {
    "a > 0": {"a"},
    "length(a) > max(b, 1)": {"a", "b"},
    "a <> 'b' AND \"c d\" <> 'c d'": {"a", "c d"},
    '[x y] + `z` + "q""q"': {"x y", "z", 'q"q'},
    "t.a = main.t.b": {"a", "b"},
    'a COLLATE nocase = b COLLATE "rtrim"': {"a", "b"},
    "CAST(a AS VARCHAR(10)) || CAST(b AS unsigned int)": {"a", "b"},
    "CASE WHEN a THEN b ELSE c END": {"a", "b", "c"},
    "CASE key WHEN end THEN row END": {"key", "end", "row"},
    "a IS NOT NULL AND b NOTNULL OR c ISNULL": {"a", "b", "c"},
    "a NOT BETWEEN b AND c": {"a", "b", "c"},
    "a IN (b, 'c', 1, x'00')": {"a", "b"},
    "a IS NOT DISTINCT FROM b": {"a", "b"},
    "like LIKE glob ESCAPE match": {"like", "glob", "match"},
    "replace(replace, 'a', if)": {"replace", "if"},
    '"lower"(a)': {"a"},
    "current_date > a": {"a"},
    "a->>'$.b' = -c": {"a", "c"},
    "a /* b */ > 1 -- c": {"a"},
    "json_extract(Data, '$.x') IN ()": {"Data"},
    "a DESC": {"a"},
    "lower(a) COLLATE nocase ASC": {"a"},
    "größe > 1e5 AND naïve": {"größe", "naïve"},
    "'t'.'a' <> 't'": {"a"},
    "NOT a": {"a"},
    "count(DISTINCT a)": {"a"},
    "true AND a": {"true", "a"},
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_names_of_an_expression_are_told_from_its_other_words(expression):
    assert identifiers(expression) == EXPRESSIONS[expression]


@pytest.mark.parametrize(
    ("expression", "old", "renamed"),
    [
        ("a > 0 AND 'a' <> b AND abs(a)", "a", "new > 0 AND 'a' <> b AND abs(new)"),
        ('abs(abs) <> "abs" OR t.ABS', "abs", 'abs(new) <> "new" OR t.new'),
        (
            "CASE end WHEN end THEN 'end' ELSE end END",
            "end",
            "CASE new WHEN new THEN 'end' ELSE new END",
        ),
        (
            "CAST(type AS type) = type COLLATE nocase",
            "type",
            "CAST(new AS type) = new COLLATE nocase",
        ),
        ("a.a = a.b /* a */", "a", "a.new = a.b /* a */"),
    ],
)
def test_only_the_column_is_renamed(expression, old, renamed):
    assert rename_identifier(expression, old, "new") == renamed


def test_a_new_name_that_needs_quotes_gets_them():
    assert rename_identifier("a > 0", "a", "order") == '"order" > 0'
    assert rename_identifier("a > 0", "a", "a b") == '"a b" > 0'
    assert rename_identifier("[a] > 0", "a", "b") == '"b" > 0'
