"""Renames on the three databases: rows live, and what is named after them is named anew."""

import pytest
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


def test_a_key_by_a_new_name_gets_an_index_at_the_same_time(any_database):
    any_database.model("person", PERSON)
    any_database.model("note", NOTE)
    revising.applied(any_database)
    rows = ["INSERT INTO person (nick) VALUES ('a')", "INSERT INTO note (person_id) VALUES (1)"]
    revising.execute(any_database, *rows)
    before = revising.names(any_database, "note")

    (any_database.package / "models" / "note.py").unlink()
    letter = NOTE.replace(", index=True", "").replace("'person.id'))", "'person.id'), index=True)")
    any_database.model("letter", letter)
    revising.applied(any_database, "-x", "rename=note:letter")
    now = revising.names(any_database, "letter")
    assert {"ix_letter_editor_id", "fk_letter_editor_id_person"} <= now
    assert "ix_note_person_id" not in now
    revising.down_and_up(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.names(any_database, "note") == before
    assert revising.rows(any_database, "SELECT person_id, words FROM note") == [(1, 7)]


def test_a_key_of_another_type_gets_an_index_at_the_same_time(any_database):
    # SQLite holds no other type for a row number
    big = "sa.BigInteger, " if "DEV_DATABASE_URL" in any_database.env else ""
    wide = KEY.replace("primary_key", f"{big}primary_key")
    note = KEY + "person_id: Mapped[int] = mapped_column(%ssa.ForeignKey('person.id')%s)\n"
    any_database.model("person", PERSON)
    any_database.model("note", note % ("", ""))
    revising.applied(any_database)
    before = revising.names(any_database, "note")
    any_database.model("person", PERSON.replace(KEY, wide))
    any_database.model("note", note % (big, ", index=True"))
    revising.applied(any_database)
    assert "ix_note_person_id" in revising.names(any_database, "note")
    revising.down_and_up(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.names(any_database, "note") == before


@pytest.mark.one_of_each
@pytest.mark.parametrize("new", ["'other', 'person_id'", "'first', 'person_id', 'size'"])
def test_the_index_of_a_key_is_another_one(any_database, new):
    any_database.model("person", PERSON)
    key = "person_id: Mapped[int] = mapped_column(sa.ForeignKey('person.id'))\nsize: Mapped[int]\n"
    note = KEY + key + "__table_args__ = (sa.Index(%s),)\n"
    any_database.model("note", note % "'first', 'person_id'")
    revising.applied(any_database)
    any_database.model("note", note % new)
    revising.applied(any_database)
    indexes = revising.names(any_database, "note") & {"first", "other"}
    assert indexes == {new.split("'")[1]}
    revising.down_and_up(any_database)


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


def test_a_key_changes_whose_new_name_is_longer_than_a_server_takes(any_database):
    """The database holds the name cut, and the migration says it whole."""
    long = "a_name_of_a_table_that_is_nearly_as_long_as_a_server_takes"
    leaf = KEY + "node_id: Mapped[int | None] = mapped_column(sa.ForeignKey('node.id'{}))\n"
    any_database.model("node", KEY)
    any_database.model("leaf", leaf.format(""))
    revising.applied(any_database)
    before = revising.names(any_database, "leaf")
    (any_database.package / "models" / "node.py").unlink()
    any_database.model(long, KEY)
    any_database.model("leaf", leaf.format(", ondelete='CASCADE'").replace("'node.", f"'{long}."))
    revising.applied(any_database, "-x", f"rename=node:{long}")
    revising.execute(
        any_database, f"INSERT INTO {long} VALUES (1)", "INSERT INTO leaf VALUES (1, 1)"
    )
    revising.down_and_up(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.names(any_database, "leaf") == before
    any_database.db("upgrade").assert_ok()
    revising.execute(any_database, f"DELETE FROM {long}")
    assert revising.rows(any_database, "SELECT * FROM leaf") == []


def test_a_table_that_itself_and_others_refer_to_is_renamed(any_database):
    node = KEY + (
        "parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey('node.id'))\n"
        "code: Mapped[str] = mapped_column(sa.String(9), unique=True)\n"
    )
    leaf = KEY + (
        "node_id: Mapped[int] = mapped_column(sa.ForeignKey('node.id', ondelete='CASCADE'))\n"
        "node_code: Mapped[str | None] = mapped_column(sa.String(9), sa.ForeignKey('node.code'))\n"
    )
    any_database.model("node", node)
    any_database.model("leaf", leaf)
    revising.applied(any_database)
    revising.execute(
        any_database,
        "INSERT INTO node (parent_id, code) VALUES (NULL, 'a')",
        "INSERT INTO node (parent_id, code) VALUES (1, 'b')",
        "INSERT INTO leaf (node_id, node_code) VALUES (2, 'a')",
    )
    before = {table: revising.names(any_database, table) for table in ("node", "leaf")}
    (any_database.package / "models" / "node.py").unlink()
    any_database.model("branch", node.replace("node", "branch").replace("code:", "label:"))
    any_database.model(
        "leaf", leaf.replace("'node.code'", "'branch.label'").replace("'node.", "'branch.")
    )
    revising.applied(any_database, "-x", "rename=node:branch,node.code:label")

    wanted = {"fk_leaf_node_id_branch", "fk_leaf_node_code_branch"}
    assert wanted <= revising.names(any_database, "leaf")
    wanted = {"fk_branch_parent_id_branch", "uq_branch_label"}
    assert wanted <= revising.names(any_database, "branch")
    revising.down_and_up(any_database)
    any_database.db("downgrade").assert_ok()
    assert {table: revising.names(any_database, table) for table in before} == before
    any_database.db("upgrade").assert_ok()
    query = "SELECT parent_id, label FROM branch ORDER BY id"
    assert revising.rows(any_database, query) == [(None, "a"), (1, "b")]
    revising.execute(
        any_database, "UPDATE branch SET parent_id = NULL", "DELETE FROM branch WHERE id = 2"
    )
    assert revising.rows(any_database, "SELECT * FROM leaf") == []


def test_a_file_that_was_written_on_sqlite_runs_on_the_servers(new_project, server_url):
    kind = "mysql" if server_url.startswith("mysql") else "postgresql"
    body = (
        "title: Mapped[str] = mapped_column(sa.String(20), server_default='x', comment='c')\n"
        "kind: Mapped[str | None] = mapped_column(sa.Enum('a', 'b', name='kind'))\n"
        "open: Mapped[bool | None]\n"
        "person_id: Mapped[int | None] = mapped_column(sa.ForeignKey('person.id'), index=True)\n"
    )
    projects = [new_project(starter="bare"), new_project(starter="bare", database=kind)]
    projects[1].env["DEV_DATABASE_URL"] = server_url

    def write(name, text):
        for project in projects:
            project.model(name, text)

    write("person", KEY + "name: Mapped[str | None] = mapped_column(sa.String(20))\n")
    write("note", KEY + body)
    for project in projects:
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (kind) VALUES ('a'), (NULL)")
    here, there = (next(project.versions.glob("*.py")) for project in projects)
    head = there.name.split("_")[0]
    write(
        "note",
        KEY.replace("id:", "number:")
        + body.replace("title:", "name:")
        .replace("kind:", "sort:")
        .replace("open:", "shown:")
        .replace("person_id:", "author_id:")
        + "slug: Mapped[str] = mapped_column(sa.String(20), unique=True)\n",
    )
    answers = (
        "note.id:number,note.title:name,note.kind:sort,note.open:shown,note.person_id:author_id"
    )
    text = (
        projects[0]
        .new_migration("-x", f"rename={answers}", "-x", "fill=note.slug:=number")
        .read_text()
    )
    old = here.name.split("_")[0]
    (there.parent / "c00000000001_from_sqlite.py").write_text(text.replace(old, head))
    for project in projects:
        for command in ("upgrade", "downgrade", "upgrade"):
            assert "Warning" not in project.db(command).assert_ok().err
        revising.assert_nothing_left(project)
        assert revising.rows(project, "SELECT number, name, sort FROM note ORDER BY number") == [
            (1, "x", "a"),
            (2, "x", None),
        ]
        revising.execute(project, "INSERT INTO note (slug, sort) VALUES ('s', 'b')")
        assert revising.rows(project, "SELECT name FROM note WHERE number = 3") == [("x",)]


def test_a_generated_column_stays_generated(any_database):
    def note(name):
        double = f"{name}: Mapped[int | None] = mapped_column(sa.Computed('size + size', persisted=True))\n"
        return KEY + "size: Mapped[int]\n" + double

    any_database.model("note", note("double"))
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (size) VALUES (2)")
    any_database.model("note", note("twice"))
    file = revising.applied(any_database, "-x", "rename=note.double:twice")
    assert "rename note.double to twice" in file.read_text()
    revising.down_and_up(any_database)
    revising.execute(any_database, "UPDATE note SET size = 4")
    assert revising.rows(any_database, "SELECT twice FROM note") == [(8,)]


def test_what_holds_a_generated_column_comes_again_when_that_is_renamed_and_computed_anew(
    any_database,
):
    def note(name, sql, also):
        column = f"mapped_column(sa.Computed('size {sql}', persisted=True), {also}=True)"
        return f"{name}_{also}: Mapped[int | None] = {column}\n"

    def both(name, sql):
        return KEY + "size: Mapped[int]\n" + note(name, sql, "unique") + note(name, sql, "index")

    any_database.model("note", both("old", "+ 1"))
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (size) VALUES (2)")
    any_database.model("note", both("new", "+ 2"))
    renames = "rename=note.old_unique:new_unique,note.old_index:new_index"
    revising.applied(any_database, "-x", renames)
    revising.down_and_up(any_database)
    assert revising.rows(any_database, "SELECT new_unique, new_index FROM note") == [(4, 4)]
    revising.assert_nothing_left(any_database)


def test_a_table_that_was_renamed_once_is_dropped_and_comes_back(any_database):
    any_database.model("note", KEY)
    any_database.model("person", KEY)
    revising.applied(any_database)
    (any_database.package / "models" / "note.py").unlink()
    any_database.model("letter", KEY)
    revising.applied(any_database, "-x", "rename=note:letter")
    (any_database.package / "models" / "letter.py").unlink()
    revising.applied(any_database)
    any_database.db("downgrade").assert_ok()
    assert set(revising.columns(any_database, "letter")) == {"id"}
    revising.down_and_up(any_database)
