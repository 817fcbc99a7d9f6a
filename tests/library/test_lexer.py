"""SQL that people write, cut into tokens: what is quoted is no command, whatever it holds."""

import pytest

from flask_keel import lexer
from flask_keel.lint import source


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


def test_every_character_is_in_one_token():
    sql = "SELECT \"a\"\"b\", `c`, [d e], 'f''g', $$h$$, i$1 -- j\n /* k */ FROM l; \\ '"
    assert "".join(text for _, text in lexer.tokens(sql)) == sql


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


def test_lint_sees_a_table_whose_name_has_blanks():
    found = list(source.effects("DELETE FROM \"my post\"; UPDATE x SET a = 'DROP TABLE post'"))
    assert found == [("delete-rows", "my post", True), ("update-rows", "x", True)]
