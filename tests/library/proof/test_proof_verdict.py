"""What a proof says besides yes and no: what is lost, deleted, rewritten, and what hostile rows meet."""

import alembic.op
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import Column as C

from flask_keel.proof import samples

from .good import BY_HAND, GENERATED, PERSON, A, N, item, person, post, table
from .migrations import History, metadata
from .test_proof_of_good_migrations import prove


def of(name, folder):
    (case,) = [case for case in [*GENERATED, *BY_HAND] if case[0] == name]
    return prove(case, folder)


def by_hand(folder, before, after, upgrade, downgrade="pass", **more):
    return prove(("", before, after, {"upgrade": upgrade, "downgrade": downgrade, **more}), folder)


def test_it_says_how_many_rows_and_which_seed(tmp_path):
    assert (
        of("add an index", tmp_path).sentence
        == "proved on 6 rows in 1 table: up, down and up again (seed 1)"
    )


def test_a_new_column_is_lost_on_the_way_down(tmp_path):
    assert of("add a nullable column", tmp_path).notes == ["loses post.summary on the way down"]


def test_a_new_table_is_lost_on_the_way_down(tmp_path):
    assert of("create a child of a table with rows", tmp_path).notes == [
        "loses the table post on the way down"
    ]


def test_a_dropped_column_is_lost_on_the_way_up(tmp_path):
    assert of("drop a nullable column", tmp_path).notes == ["loses post.summary on the way up"]


def test_a_dropped_table_is_lost_on_the_way_up(tmp_path):
    assert "loses the table post on the way up" in of("drop a child", tmp_path).notes


def test_a_dropped_column_that_was_not_null_cannot_come_back_to_rows(tmp_path):
    verdict = of("drop a column that is NOT NULL", tmp_path)
    assert verdict.ok
    assert any(
        "cannot be undone while post has rows: post.body comes back NOT NULL" in note
        for note in verdict.notes
    )


def test_a_column_that_the_downgrade_fills_again_is_not_lost(tmp_path):
    notes = of("move a column to a table of its own", tmp_path).notes
    assert notes == ["loses the table profile on the way down"]


def test_a_rename_loses_nothing(tmp_path):
    assert of("rename a column and change it", tmp_path).notes == []


def test_an_update_is_told(tmp_path):
    notes = of("a data migration row by row", tmp_path).notes
    assert "changes item.a in 5 of 6 rows ('plain text' becomes 'PLAIN TEXT')" in notes
    assert any("the downgrade does not bring it back" in note for note in notes)


def test_a_delete_is_told_with_its_text(tmp_path):
    (note,) = of("delete rows that are too old", tmp_path).notes
    assert note == (
        "deletes 1 of 6 rows of item, as it says: DELETE FROM item WHERE day < '1950-01-01'"
    )


def test_what_a_comment_agrees_to_is_told_with_its_reason(tmp_path):
    verdict = of("it says what changes", tmp_path)
    assert verdict.notes == ["changes item, as it says: because the cheap ones are thrown out"]


def test_a_downgrade_that_says_why_it_cannot_be_is_respected(tmp_path):
    verdict = of("irreversible", tmp_path)
    assert "irreversible because the numbers are nobody's business any more" in verdict.sentence
    assert verdict.notes == ["loses item.n on the way up"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("make a column NOT NULL", "with NULL in item.a: the upgrade stops ("),
        ("add a unique key", "with two equal rows in item (a): the upgrade stops ("),
        (
            "add a foreign key",
            "with a row in item whose person_id points to nothing: the upgrade stops",
        ),
        ("add a check", "with a row in item that breaks ck_item_adult: the upgrade stops ("),
        ("fill an old column", "with NULL in item.a: the upgrade goes through"),
    ],
)
def test_hostile_rows_are_reported_and_not_failed(name, words, tmp_path):
    verdict = of(name, tmp_path)
    assert verdict.ok
    assert len(verdict.hostile) == 1
    assert verdict.hostile[0].startswith(words), verdict.hostile


def test_text_that_is_too_long_is_hostile(tmp_path):
    (said,) = of("narrow a string", tmp_path).hostile
    assert said.startswith("with text of 11 characters in item.a: the upgrade ")


def test_the_first_migration_of_all_is_proved(tmp_path):
    verdict = of("create two linked tables", tmp_path)
    assert verdict.ok and verdict.sentence == "proved on empty tables: up, down and up again"


def test_a_merge_of_two_heads_is_proved(tmp_path):
    history = History(tmp_path)
    history.generate(metadata(), metadata(item(A)))
    first = history.head
    one = history.write("op.add_column('item', sa.Column('n', sa.Integer()))",
                        "op.drop_column('item', 'n')")  # fmt: skip
    history.head = first
    other = history.write("op.create_index('ix_item_a', 'item', ['a'])",
                          "op.drop_index('ix_item_a', 'item')")  # fmt: skip
    history.head = (one, other)
    history.write("pass")
    verdict = history.prove(metadata(item(C("a", sa.String(40), index=True), N)))
    assert verdict.ok, verdict.sentence


def test_a_check_may_name_the_last_day_that_there_is(tmp_path):
    until = C("until", sa.Date, nullable=False)
    ends = lambda: sa.CheckConstraint("until <= '9999-12-31'", name="ends")  # noqa: E731
    verdict = prove(("", [item(until, ends)], [item(until, ends, N)], None), tmp_path)
    assert verdict.ok, verdict.sentence


def test_an_older_migration_is_not_held_against_the_models(tmp_path):
    history = History(tmp_path)
    history.generate(metadata(), metadata(person))
    history.generate(metadata(person), metadata(person, post))
    middle = history.head
    history.generate(metadata(person, post), metadata(person, post, item(A)))
    history.head = middle
    assert history.prove(metadata(person, post, item(A))).ok


def test_a_migration_is_told_that_it_is_rehearsed(tmp_path):
    verdict = by_hand(
        tmp_path, [item(A)], [item(A)],
        "from flask_keel import is_rehearsal\nassert is_rehearsal()",
    )  # fmt: skip
    assert verdict.ok, verdict.sentence


def test_what_a_migration_prints_is_not_printed_four_times(tmp_path, capsys):
    assert by_hand(tmp_path, [item(A)], [item(A)], "print('a mail was sent')").ok
    assert capsys.readouterr() == ("", "")


def test_alembic_is_as_it_was_afterwards(tmp_path):
    of("add an index", tmp_path)
    assert alembic.op._proxy is None


def test_two_proofs_of_one_migration_say_the_same(tmp_path):
    before = [table("person", *PERSON), post]
    history = History(tmp_path)
    history.generate(metadata(), metadata(*before))
    history.write("op.execute(\"UPDATE post SET body = 'none' WHERE title < 'm'\")")
    models = metadata(*before)
    assert history.prove(models).lines == history.prove(models).lines
    assert history.prove(models, seed=7).seed == 7


def test_a_history_that_does_not_run_is_an_error_of_its_own(tmp_path):
    history = History(tmp_path)
    history.write("op.execute('nonsense')")
    history.write("pass")
    with pytest.raises((CommandError, sa.exc.OperationalError), match="nonsense"):
        history.prove(metadata())


def test_python_that_chokes_on_made_rows_is_told_of_sample_rows(tmp_path):
    verdict = by_hand(
        tmp_path, [item(A)], [item(A)],
        "for a, in op.get_bind().execute(sa.text('SELECT a FROM item')): int(a)",
    )  # fmt: skip
    assert not verdict.ok
    assert "sample_rows(connection)" in verdict.difference


def test_rows_of_the_history_itself_are_kept(tmp_path):
    history = History(tmp_path)
    history.generate(metadata(), metadata(item(A)))
    history.write("op.bulk_insert(sa.table('item', sa.column('a')), [{'a': 'admin'}])")
    history.write("op.execute(\"DELETE FROM item WHERE a = 'admin'\")")
    verdict = history.prove(metadata(item(A)))
    assert verdict.rows == {"item": 7}
    assert any("deletes 1 of 7 rows of item" in note for note in verdict.notes)


def test_an_order_of_columns_that_changed_is_told(tmp_path):
    verdict = by_hand(
        tmp_path, [item(A, N)], [item(N)],
        "op.drop_column('item', 'a')", "op.add_column('item', sa.Column('a', sa.String(40)))",
    )  # fmt: skip
    assert verdict.ok, verdict.sentence
    assert "the downgrade leaves the columns of item in another order" in verdict.notes


@pytest.mark.parametrize(
    ("upgrade", "note"),
    [
        ("op.execute(\"UPDATE item SET a = 'gone'\")", "sets item.a to 'gone' in every row"),
        (
            "op.execute(\"UPDATE item SET a = 'gone' WHERE n > 0\")",
            "sets item.a to 'gone' in 2 of 6 rows",
        ),
        (
            "op.execute(\"UPDATE item SET a = 'x' || a\")",
            "changes item.a in 5 of 6 rows ('plain text' becomes 'xplain text')",
        ),
        (
            "op.get_bind().execute(sa.table('item', sa.column('n')).update().values(n=5))",
            "sets item.n to 5 in every row",
        ),
        ("op.execute('UPDATE item SET n = n')", None),
    ],
)
def test_what_an_update_does_is_measured_from_the_rows(upgrade, note, tmp_path):
    verdict = by_hand(tmp_path, [item(A, N)], [item(A, N)], upgrade)
    assert verdict.ok, verdict.sentence
    assert verdict.changes == ([note] if note else [])
    assert set(verdict.changes) <= set(verdict.notes)


def test_an_update_in_a_string_explains_no_change(tmp_path):
    upgrade = """
        op.execute("INSERT INTO item (id, a) SELECT 9999, 'UPDATE item SET a = 1 ' WHERE 1 = 0")
        raw = op.get_bind().connection.driver_connection
        raw.execute("UPDATE item SET a = 'x'")
        """
    verdict = by_hand(tmp_path, [item(A)], [item(A)], upgrade)
    assert not verdict.ok
    assert "item.a" in verdict.sentence


def test_a_downgrade_that_only_raises_is_no_way_back_and_asked_why(tmp_path):
    drop = "with op.batch_alter_table('item') as batch:\n    batch.drop_column('n')"
    verdict = by_hand(tmp_path, [item(A, N)], [item(A)], drop, "raise NotImplementedError")
    assert verdict.ok, verdict.sentence
    assert "up; not down, since downgrade() raises NotImplementedError (seed 1)" in verdict.sentence
    assert verdict.notes == [
        "say in downgrade() why there is no way back: # irreversible because ...",
        "loses item.n on the way up",
    ]


def test_a_downgrade_that_raises_its_reason_is_asked_nothing(tmp_path):
    drop = "with op.batch_alter_table('item') as batch:\n    batch.drop_column('n')"
    raises = '"""Downgrade."""\nraise RuntimeError("the numbers are gone")'
    verdict = by_hand(tmp_path, [item(A, N)], [item(A)], drop, raises)
    assert "since downgrade() raises RuntimeError('the numbers are gone')" in verdict.sentence
    assert verdict.notes == ["loses item.n on the way up"]


@pytest.mark.parametrize(
    ("text", "becomes", "found"),
    [
        ("'CASE a WHEN \\'x\\' THEN 1 END'", (), (["x"], True)),
        ("'CASE \"a\" WHEN \\'it\\'\\'s\\' THEN 1 ELSE 0 END'", (), (["it's"], False)),
        ("'CASE WHEN t.a = \\'x\\' OR b = \\'z\\' THEN 1 ELSE NULL END'", (), (["x"], True)),
        ("'UPDATE t SET a = \\'y\\' WHERE a = \\'x\\' AND b = \\'z\\''", (), (["x"], False)),
        ("'UPDATE t SET a = \\'y\\''", (), ([], False)),
        ("'UPDATE t SET b = 1 WHERE lower(a) IN (\\'x\\', \\'y\\')'", (), (["x", "y"], False)),
        ("'SELECT data FROM t WHERE data = \\'x\\''", (), ([], False)),
        ("t.c.a == 'x'", (), (["x"], False)),
        ("row['a'] in ('x', 'y')", (), (["x", "y"], False)),
        ("t.c.a.in_(['x'])", (), (["x"], False)),
        ("t.c.b == 'x'", (), ([], False)),
        ("{'x': 'OPEN', 'y': 'DONE', None: None}", ("open", "done"), (["x", "y"], True)),
        ("{'x': True}", ("true", "false"), (["x"], True)),
        ("{'id': 5, 'name': 'x'}", ("open", "done"), ([], False)),
    ],
)
def test_the_values_that_a_migration_speaks_of_are_found(text, becomes, found):
    source = f"def upgrade():\n    {text}\n\n\ndef downgrade():\n    t.c.a == 'no'\n"
    assert samples.values(source, "a", set(becomes)) == found
