"""Renames on the three databases: rows live, and what is named after them is named anew."""

import revising
from revising import KEY

PERSON = KEY + (
    "bio: Mapped[str | None] = mapped_column(sa.String(80), index=True)\n"
    "nick: Mapped[str] = mapped_column(sa.String(40), unique=True)\n"
)
NOTE = KEY + (
    "person_id: Mapped[int] = mapped_column(sa.ForeignKey('person.id', ondelete='CASCADE'), index=True)\n"
    "editor_id: Mapped[int | None] = mapped_column(sa.ForeignKey('person.id'))\n"
    "words: Mapped[int] = mapped_column(server_default='7')\n"
)


def test_columns_and_a_table_are_renamed_and_their_rows_live(any_database):
    any_database.model("person", PERSON)
    any_database.model("note", NOTE)
    revising.applied(any_database)
    revising.execute(
        any_database,
        "INSERT INTO person (bio, nick) VALUES ('tall', 'a'), (NULL, 'b')",
        "INSERT INTO note (person_id, editor_id) VALUES (1, 2), (2, NULL)",
    )
    before = {table: revising.names(any_database, table) for table in ("person", "note")}

    (any_database.package / "models" / "note.py").unlink()
    any_database.model(
        "person",
        KEY + "profile: Mapped[str | None] = mapped_column(sa.String(90), index=True)\n"
        "handle: Mapped[str] = mapped_column(sa.String(40), unique=True)\n",
    )
    any_database.model(
        "letter", NOTE.replace("person_id", "author_id").replace("editor_id", "reader_id")
    )
    answers = "note:letter,person.bio:profile,person.nick:handle,note.person_id:author_id"
    file = any_database.new_migration("-x", f"rename={answers},letter.editor_id:reader_id")
    assert "drop_table" not in file.read_text()
    assert "drop_column" not in file.read_text()
    any_database.db("upgrade").assert_ok()

    people = [(1, "tall", "a"), (2, None, "b")]
    letters = [(1, 1, 2, 7), (2, 2, None, 7)]
    query = "SELECT id, author_id, reader_id, words FROM letter ORDER BY id"
    assert (
        revising.rows(any_database, "SELECT id, profile, handle FROM person ORDER BY id") == people
    )
    assert revising.rows(any_database, query) == letters
    wanted = {"ix_person_profile", "uq_person_handle"}
    assert wanted <= revising.names(any_database, "person")
    wanted = {"ix_letter_author_id", "fk_letter_author_id_person", "fk_letter_reader_id_person"}
    assert wanted <= revising.names(any_database, "letter")
    stale = before["person"] | before["note"]
    now = revising.names(any_database, "person") | revising.names(any_database, "letter")
    assert not stale & now
    revising.assert_nothing_left(any_database)

    any_database.db("downgrade").assert_ok()
    assert {table: revising.names(any_database, table) for table in before} == before
    assert revising.rows(any_database, "SELECT id, bio, nick FROM person ORDER BY id") == people
    query = "SELECT id, person_id, editor_id, words FROM note ORDER BY id"
    assert revising.rows(any_database, query) == letters

    any_database.db("upgrade").assert_ok()
    revising.assert_nothing_left(any_database)
    revising.execute(any_database, "INSERT INTO letter (author_id) VALUES (1)")
    revising.execute(any_database, "DELETE FROM person WHERE id = 1")
    query = "SELECT author_id, words FROM letter ORDER BY id"
    assert revising.rows(any_database, query) == [(2, 7)]


def test_a_column_is_renamed_with_another_type_and_nullability(any_database):
    any_database.model("note", KEY + "size: Mapped[str | None] = mapped_column(sa.String(20))\n")
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (id, size) VALUES (1, '42'), (2, '0')")

    any_database.model("note", KEY + "length: Mapped[int]\n")
    revising.applied(any_database, "-x", "rename=note.size:length")

    column = revising.columns(any_database, "note")["length"]
    assert not column["nullable"]
    assert "INT" in str(column["type"]).upper()
    assert revising.rows(any_database, "SELECT length FROM note ORDER BY id") == [(42,), (0,)]
    revising.down_and_up(any_database)
    assert revising.rows(any_database, "SELECT length FROM note ORDER BY id") == [(42,), (0,)]


def test_a_renamed_key_still_counts_and_a_default_still_fills(any_database):
    any_database.model(
        "note",
        KEY
        + "title: Mapped[str] = mapped_column(sa.String(20), server_default=\"it's\", comment='c')\n"
        "at: Mapped[datetime] = mapped_column(server_default=sa.func.now())\n",
    )
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (title) VALUES ('a')")

    any_database.model(
        "note",
        KEY.replace("id:", "number:")
        + "name: Mapped[str] = mapped_column(sa.String(20), server_default=\"it's\", comment='c')\n"
        "since: Mapped[datetime] = mapped_column(server_default=sa.func.now())\n",
    )
    answers = "rename=note.id:number,note.title:name,note.at:since"
    revising.applied(any_database, "-x", answers)
    revising.down_and_up(any_database)
    default = "INSERT INTO note DEFAULT VALUES"
    mariadb = any_database.env.get("DEV_DATABASE_URL", "").startswith("mysql")
    revising.execute(any_database, "INSERT INTO note () VALUES ()" if mariadb else default)

    query = "SELECT number, name, since IS NULL FROM note ORDER BY number"
    found = [(n, name, bool(empty)) for n, name, empty in revising.rows(any_database, query)]
    assert found == [(1, "a", False), (2, "it's", False)]
    comments = revising.columns(any_database, "note")["name"].get("comment")
    assert comments == ("c" if any_database.env else None)
