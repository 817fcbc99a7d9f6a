"""Does what is asked, has SQLite run the new text and compares what SQLite says of it."""

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import tokenize

from .changes import Asked, gaps, is_within, words
from .facts import collations, database, facts, facts_of_text, stored_text


def verify(table: CreateTable, asked: Asked) -> None:
    changed = asked.edit(table)
    connection = database(changed.sql)
    where = f"{asked.label}\n{table.sql}\n---\n{changed.sql}"
    stored = stored_text(connection)
    # SQLite leaves out what follows the last word
    assert changed.sql.startswith(stored) and not tokenize(changed.sql[len(stored) :]), where
    said = facts(connection, changed.name)
    if asked.keeps == "letters":
        said.foreign_keys.sort()
        asked.facts.foreign_keys = sorted(asked.facts.foreign_keys)
    assert said == asked.facts, where
    read = facts_of_text(changed)
    read.foreign_keys.sort()
    said.foreign_keys.sort()
    assert read == said, where
    if asked.collation:
        column, collation = asked.collation
        assert collations(connection, changed.name)[column] == collation, where
    unharmed(table.sql, changed.sql, asked, where)


def unharmed(old: str, new: str, asked: Asked, where: str) -> None:
    """Outside of the place of the edit each character of the text is the one it was."""
    start, end = asked.within
    behind = len(old) - end
    assert new[:start] == old[:start], where
    assert not behind or new[-behind:] == old[-behind:], where
    inside, now_inside = old[start:end], new[start : len(new) - behind]
    if asked.keeps == "all":
        assert is_within(inside, now_inside), where
    elif asked.keeps == "gaps":
        assert gaps(old) == gaps(new), where
    elif asked.keeps == "letters":
        assert sorted(words(old)) == sorted(words(new)), where
