"""SQL that people write, cut into tokens: what is quoted is no command, whatever it holds."""

import pytest

from flask_keel import lexer


@pytest.mark.parametrize(
    "sql, left",
    [
        ("DELETE -- FROM post\nFROM tag", "DELETE  \nFROM tag"),
        ("SELECT '-- not a comment' /* but this */", "SELECT ''  "),
        ("SELECT 'it''s; DROP TABLE post'", "SELECT ''"),
        ("DO $body$ DELETE FROM post; $body$", "DO ''"),
        ("SELECT ARRAY['a;b'] -> 'c'", "SELECT ARRAY[''] -> ''"),
        ('UPDATE "a -- b" SET c = 1', 'UPDATE "a -- b" SET c = 1'),
        ("SELECT 1 /* never closed", "SELECT 1  "),
    ],
)
def test_words_in_strings_and_comments_are_no_commands(sql, left):
    assert lexer.without_asides(sql) == left


@pytest.mark.parametrize("database", ["", "postgresql", "mysql", "mariadb", "sqlite"])
def test_every_character_is_in_one_token(database):
    sql = "SELECT \"a\"\"b\", `c`, [d e], 'f''g', $$h$$, i$1 -- j\n /* k */ FROM l; \\ '"
    assert "".join(text for _, text in lexer.tokens(sql, database)) == sql


@pytest.mark.parametrize(
    "database, sql, left",
    [
        ("postgresql", r"SELECT E'it\'s; DROP' || 'C:\'; x", "SELECT '' || ''; x"),
        ("postgresql", "SELECT E'a'\n -- b\n '\\'c;'; x", "SELECT ''; x"),
        ("postgresql", "/* a /* b */ DROP */ x", "  x"),
        ("postgresql", "DO $a$ $b$ ; $a$; x$y$ z$y$", "DO ''; x$y$ z$y$"),
        ("postgresql", "UPDATE t SET a[1] = `b", "UPDATE t SET a[1] = `b"),
        ("mysql", r"""SELECT 'it\'s; DROP', "a\";b", `c\`; x""", r"SELECT '', '', `c\`; x"),
        ("mysql", "SELECT 1--1 # a\n, 2 -- b\n--\n; x", "SELECT 1--1  \n, 2  \n \n; x"),
        (
            "mariadb",
            "/*!40101 DROP TABLE a*/,/*M! b*/, 2*/* c */3",
            "  DROP TABLE a ,  b , 2* 3",
        ),
        ("mysql", "SELECT $$ a; $$", "SELECT $$ a; $$"),
        ("sqlite", r"SELECT 'C:\', [a;'b]; -- c", r"SELECT '', [a;'b];  "),
        ("sqlite", "SELECT $a$ ; $a$ --x", "SELECT $a$ ; $a$  "),
        ("sqlite", "/* a /* b */ x", "  x"),
    ],
)
def test_each_database_cuts_as_it_reads(database, sql, left):
    assert lexer.without_asides(sql, database) == left


@pytest.mark.parametrize(
    "name, parts",
    [
        ("post", ["post"]),
        ('"public"."my post"', ["public", "my post"]),
        ('"a""b".`c``d`', ['a"b', "c`d"]),
        ("main.[a-b]", ["main", "a-b"]),
    ],
)
def test_a_name_loses_the_quotes_of_any_database(name, parts):
    assert lexer.parts(name) == parts


@pytest.mark.parametrize(
    "expression, bare",
    [("((a > 0))", "a > 0"), ("(a) or (b)", "(a) or (b)"), ("()", ""), ("(a", "(a"), ("a)", "a)")],
)
def test_only_parentheses_around_all_of_it_go(expression, bare):
    assert lexer.bare(expression) == bare
