"""Two branches in both orders, on rows: `db rebase` says whether they commute, and else where they meet."""

import pytest

KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
TABLE = KEY + "title: Mapped[str] = mapped_column(sa.String(40))"
MINE = 'op.add_column("note", sa.Column("mine", sa.String(40)))'
RENAME = """op.rename_table("note", "letter")"""
UPPER = 'op.execute("UPDATE note SET title = upper(title)")'

CASES = {
    # name: one branch, the other, what is said
    "two columns": (
        'op.add_column("note", sa.Column("theirs", sa.Integer()))',
        MINE,
        "They commute: in either order they make the same schema and the same rows.",
    ),
    "a value that each run makes anew": (
        'op.add_column("note", sa.Column("theirs", sa.String(40)))\n'
        "op.execute(f\"UPDATE note SET theirs = '{__import__('uuid').uuid4().hex}'\")",
        MINE,
        "They commute",
    ),
    "rows that one changes and the other copies": (
        UPPER,
        MINE + '\nop.execute("UPDATE note SET mine = title")',
        "They meet on note.mine, so read both: the other way round the rows would hold something else.",
    ),
    "a table that one renames": (
        MINE,
        RENAME,
        "They meet on note, so read both: the other way round it stops: ",
    ),
    "a default that both set": (
        'with op.batch_alter_table("note") as batch:\n'
        '    batch.alter_column("title", existing_type=sa.String(40), server_default="a")',
        'with op.batch_alter_table("note") as batch:\n'
        '    batch.alter_column("title", existing_type=sa.String(40), server_default="b")',
        "They meet on note.title, so read both: the other way round the schema would be another.",
    ),
}


def two_heads(project, theirs, mine):
    """A first migration, and two that stand on it."""
    project.model("note", TABLE)
    first = project.new_migration().name.partition("_")[0]
    (project.package / "models" / "note.py").unlink()
    stays = "pass  # irreversible because the test does not go back"
    project.migration("aaaa00000001", first, theirs, stays)
    project.migration("bbbb00000002", first, mine, stays)


@pytest.mark.parametrize("case", CASES)
def test_rebase_says_whether_the_order_matters_and_on_what(bare, case):
    theirs, mine, said = CASES[case]
    two_heads(bare, theirs, mine)
    assert said in bare.db("rebase", "bbbb").assert_ok().err


def test_each_database_tells_both(any_database):
    two_heads(any_database, UPPER, MINE)
    assert "They commute" in any_database.db("rebase", "bbbb").assert_ok().err
    theirs = any_database.versions / "aaaa00000001_by_hand.py"
    first = theirs.read_text().partition("down_revision = '")[2].partition("'")[0]
    stays = "pass  # irreversible because the test does not go back"
    lower = 'op.execute("UPDATE note SET title = lower(title)")'
    any_database.migration("bbbb00000002", first, lower, stays)
    assert "They meet on note.title" in any_database.db("rebase", "bbbb").assert_ok().err
