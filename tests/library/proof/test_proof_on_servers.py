"""The proof on PostgreSQL and MariaDB: of the scratch databases of the server the kept one is left."""

import os

import databases
import pytest
import sqlalchemy as sa
from sqlalchemy import Column as C
from sqlalchemy.dialects import postgresql

from flask_keel.scratch.servers import kept_name

from .broken import BROKEN
from .good import BY_HAND, GENERATED, by_hand, item, person, pk, table
from .migrations import History, metadata
from .other_hands import CASES
from .test_proof_of_good_migrations import prove

GOOD = (
    "rebuild a table of all types",
    "narrow a unique string",
    "rename a column and change it",
    "fill a new column",
    "add a check of two columns",
    "delete orphans before a foreign key",
)
WRONG = (
    "the downgrade leaves an index",
    "the downgrade drops what the upgrade renamed",
    "the upgrade drops and makes a column again",
    "the upgrade cuts values off",
)
# every other one on each of the two
EACH = 1 if os.environ.get("LONG_DRILLS") else 2
A = C("a", sa.String(40))
ON_POSTGRESQL = [
    by_hand("an enum of its own", [item()],
            [item(C("mood", postgresql.ENUM("sad", "ok", name="mood")))],
            """
            mood = postgresql.ENUM('sad', 'ok', name='mood')
            mood.create(op.get_bind())
            op.add_column('item', sa.Column('mood', postgresql.ENUM(name='mood', create_type=False)))
            """,
            """
            op.drop_column('item', 'mood')
            op.execute('DROP TYPE mood')
            """),
    by_hand("another label, outside of a transaction",
            [item(C("mood", postgresql.ENUM("sad", "ok", name="mood")))],
            [item(C("mood", postgresql.ENUM("sad", "ok", "fine", name="mood")))],
            """
            with op.get_context().autocommit_block():
                op.execute("ALTER TYPE mood ADD VALUE 'fine'")
            op.execute("UPDATE item SET mood = 'fine' WHERE mood IS NULL")
            """,
            "pass  # irreversible because PostgreSQL cannot take a label out of an enum"),
    by_hand("an index made beside the running release", [item(A)],
            [item(C("a", sa.String(40), index=True))],
            """
            with op.get_context().autocommit_block():
                op.create_index('ix_item_a', 'item', ['a'], postgresql_concurrently=True)
            """,
            """
            with op.get_context().autocommit_block():
                op.drop_index('ix_item_a', 'item', postgresql_concurrently=True)
            """),
    by_hand("a number made of text", [item(A)], [item(C("a", sa.Integer))],
            """
            op.alter_column('item', 'a', type_=sa.Integer(), postgresql_using='a::integer')
            """,
            """
            op.alter_column('item', 'a', type_=sa.String(40), postgresql_using='a::varchar')
            """),
    by_hand("types of PostgreSQL alone",
            [item(C("tags", postgresql.ARRAY(sa.Text)), C("data", postgresql.JSONB),
                  C("at", postgresql.INET), C("when", postgresql.TSTZRANGE),
                  C("n", sa.Integer, sa.Identity(always=True)))],
            [item(C("tags", postgresql.ARRAY(sa.Text)), C("data", postgresql.JSONB, nullable=False),
                  C("at", postgresql.INET), C("when", postgresql.TSTZRANGE),
                  C("n", sa.Integer, sa.Identity(always=True)))],
            "op.alter_column('item', 'data', nullable=False)",
            "op.alter_column('item', 'data', nullable=True)"),
    by_hand("a schema of its own", [person],
            [person, table("entry", pk(), C("person_id", sa.ForeignKey("person.id")), schema="audit")],
            """
            op.execute('CREATE SCHEMA audit')
            op.create_table('entry', sa.Column('id', sa.Integer(), nullable=False),
                            sa.Column('person_id', sa.Integer()),
                            sa.PrimaryKeyConstraint('id', name='pk_entry'),
                            sa.ForeignKeyConstraint(['person_id'], ['person.id'],
                                                    name='fk_entry_person_id_person'), schema='audit')
            """,
            """
            op.drop_table('entry', schema='audit')
            op.execute('DROP SCHEMA audit')
            """),
    by_hand("a partial index and a column that counts", [item(A)],
            [item(A, lambda: sa.Index("ix_some", "a", unique=True,
                                      postgresql_where=sa.text("a <> ''")))],
            """
            op.create_index('ix_some', 'item', ['a'], unique=True, postgresql_where=sa.text("a <> ''"))
            op.execute("INSERT INTO item (a) VALUES ('one more')")
            """,
            """
            op.execute("DELETE FROM item WHERE a = 'one more'")
            op.drop_index('ix_some', 'item')
            """),
]  # fmt: skip
WRONG_ON_POSTGRESQL = [
    # by hand: alembic-postgresql-enum, once a test has loaded it, writes the DROP TYPE as well
    ("an enum is left behind", [], [item(C("mood", sa.Enum("sad", "ok", name="mood")))],
     {"upgrade": """
      op.create_table('item', sa.Column('id', sa.Integer(), nullable=False),
                      sa.Column('mood', sa.Enum('sad', 'ok', name='mood')),
                      sa.PrimaryKeyConstraint('id', name='pk_item'))
      """, "downgrade": "op.drop_table('item')"}, None,
     "downgrade", ("the enum mood was left behind",)),
    ("a number cannot be made of text", [item(A)], [item(C("a", sa.Integer))], None, None,
     "upgrade", ("USING",)),
]  # fmt: skip
ON_MARIADB = [
    by_hand("a foreign key, whose index stays", [person, item(C("person_id", sa.Integer))],
            [person, item(C("person_id", sa.Integer, sa.ForeignKey("person.id")))],
            "op.create_foreign_key('fk_item_person_id_person', 'item', 'person', ['person_id'], ['id'])",
            "op.drop_constraint('fk_item_person_id_person', 'item', type_='foreignkey')"),
    by_hand("an enum with one more label", [item(C("a", sa.Enum("s", "m", name="size")))],
            [item(C("a", sa.Enum("s", "m", "l", name="size")))],
            "op.alter_column('item', 'a', existing_nullable=True, type_=sa.Enum('s', 'm', 'l'))",
            "op.alter_column('item', 'a', existing_nullable=True, type_=sa.Enum('s', 'm'))"),
]  # fmt: skip
WRONG_ON_MARIADB = [
    ("a column forgets to count", [item(A)], [item(A)],
     {"upgrade": "op.execute('ALTER TABLE item MODIFY id INTEGER NOT NULL')",
      "downgrade": "op.execute('ALTER TABLE item MODIFY id INTEGER NOT NULL AUTO_INCREMENT')"},
     None, "models", ("the models still want: change item.id",)),
    ("a column does not count again", [item(A)], [table("item", pk(autoincrement=False), A)],
     {"upgrade": "op.execute('ALTER TABLE item MODIFY id INTEGER NOT NULL')",
      "downgrade": "op.get_bind()"}, None, "downgrade", ("item.id is an ordinary column",)),
]  # fmt: skip


def named(cases, names):
    return [case for case in cases if case[0] in names]


@pytest.fixture(scope="module")
def postgresql_url(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        yield databases.driven(url)


@pytest.fixture(scope="module")
def mariadb_url(mariadb_server):
    with databases.fresh(mariadb_server) as url:
        yield databases.driven(url)


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


def fails(case, folder, url):
    _, before, after, hand, *rest = case
    step, words = rest[-2:]
    before, after = metadata(*before), metadata(*after)
    history = History(folder, url)
    history.generate(metadata(), before) if before.tables else history.write("pass")
    history.write(**hand) if hand else history.generate(before, after)
    verdict = history.prove(after)
    assert verdict.step == step, verdict.lines
    return verdict, words


@pytest.mark.parametrize("case", named([*GENERATED, *BY_HAND], GOOD), ids=lambda case: case[0])
def test_a_right_migration_passes(case, url, tmp_path):
    verdict = prove(case, tmp_path, url)
    assert verdict.ok, verdict.sentence


@pytest.mark.parametrize("case", ON_POSTGRESQL, ids=lambda case: case[0])
def test_a_right_migration_passes_on_postgresql(case, postgresql_url, tmp_path):
    verdict = prove(case, tmp_path, postgresql_url)
    assert verdict.ok, verdict.sentence


@pytest.mark.parametrize("case", ON_MARIADB, ids=lambda case: case[0])
def test_a_right_migration_passes_on_mariadb(case, mariadb_url, tmp_path):
    verdict = prove(case, tmp_path, mariadb_url)
    assert verdict.ok, verdict.sentence


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{case[0]}")
        for start, name in enumerate(("postgresql", "mariadb"))
        for case in CASES[name][start % EACH :: EACH]
    ],
)
def test_made_rows_do_not_stand_in_the_way_of_a_right_migration(name, case, tmp_path, request):
    verdict = prove(case, tmp_path, request.getfixturevalue(f"{name}_url"))
    assert verdict.ok, verdict.sentence
    assert sum(verdict.rows.values()) > 5


@pytest.mark.parametrize("case", named(BROKEN, WRONG), ids=lambda case: case[0])
def test_a_wrong_migration_fails(case, url, tmp_path):
    verdict, _ = fails(case, tmp_path, url)
    assert verdict.difference


@pytest.mark.parametrize("case", WRONG_ON_POSTGRESQL, ids=lambda case: case[0])
def test_a_wrong_migration_fails_on_postgresql(case, postgresql_url, tmp_path):
    verdict, words = fails(case, tmp_path, postgresql_url)
    assert all(word in verdict.difference for word in words), verdict.difference


@pytest.mark.parametrize("case", WRONG_ON_MARIADB, ids=lambda case: case[0])
def test_a_wrong_migration_fails_on_mariadb(case, mariadb_url, tmp_path):
    verdict, words = fails(case, tmp_path, mariadb_url)
    assert all(word in verdict.difference for word in words), verdict.difference


def test_each_statement_of_a_text_is_followed(postgresql_url, tmp_path):
    rename = "op.execute('ALTER TABLE item RENAME COLUMN {} TO {}; ALTER TABLE item RENAME COLUMN {} TO {}')"
    later = [item(C("b", sa.String(40)), C("m", sa.Integer))]
    up, down = rename.format("a", "b", "n", "m"), rename.format("b", "a", "m", "n")
    case = by_hand("", [item(A, C("n", sa.Integer))], later, up, down)
    verdict = prove(case, tmp_path, postgresql_url)
    assert verdict.ok, verdict.sentence
    assert verdict.notes == []


def test_no_scratch_database_is_left_but_the_one_that_is_kept(url, tmp_path):
    server = url.render_as_string(hide_password=False)
    before = databases.names(server)
    prove(named(GENERATED, "add an index")[0], tmp_path, url)
    assert databases.names(server) == before | {kept_name(url.database)}


def test_hostile_rows_are_met_on_every_server(url, tmp_path):
    verdict = prove(named(GENERATED, "make a column NOT NULL")[0], tmp_path, url)
    assert len(verdict.hostile) == 1
    assert verdict.hostile[0].startswith("with NULL in item.a: the upgrade stops (")


def test_rows_that_an_enum_will_not_hold_any_more_are_a_sentence(postgresql_url, tmp_path):
    import alembic_postgresql_enum  # noqa: F401

    mood = [item(C("mood", postgresql.ENUM("sad", "ok", name="mood")))]
    history = History(tmp_path, postgresql_url)
    history.generate(metadata(), metadata(*mood))
    history.write("op.execute(\"INSERT INTO item (mood) VALUES ('sad')\")")
    history.write(
        """
        from alembic_postgresql_enum import TableReference
        op.sync_enum_values(enum_schema='public', enum_name='mood', new_values=['ok'],
            affected_columns=[TableReference('item', 'mood', 'public')])
        """
    )
    verdict = history.prove(metadata(*mood))
    assert "line 15: rows hold a value that the enum is not to have any more" in verdict.sentence
    assert 'invalid input value for enum mood: "sad"' in verdict.sentence
    assert "parameter or" not in verdict.sentence
