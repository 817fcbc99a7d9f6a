"""What a person reads: what happens, why it matters on this database, the code to write instead."""

import databases
import pytest

from flask_keel.lint import findings, rules
from flask_keel.statements import effects

from . import linting


def test_a_finding_says_what_happens_why_and_what_to_write_instead(tmp_path):
    (finding,) = linting.judge(tmp_path, 'op.drop_table("post")')
    assert finding.lines == [
        "line 11: drops post and its rows [drop-table, loses data]",
        "  a downgrade brings back the table, not the rows",
        "  instead: op.rename_table('post', 'dropped_post')  # and drop it in a later release",
    ]


def test_the_query_that_counts_is_quoted_for_the_database(tmp_path, postgresql_server):
    change = 'op.alter_column("user", "email", type_=sa.String(20))'
    (finding, *_) = linting.judge(tmp_path, change, postgresql_server)
    assert finding.instead == (
        '-- count them first: SELECT count(*) FROM "user" WHERE char_length(email) > 20'
    )


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ('"code", type_=sa.Integer()', "CAST(CAST(code AS INTEGER) AS TEXT) <> code"),
        ('"price", type_=sa.Numeric(10, 1)', "price <> round(price, 1)"),
        ('"price", type_=sa.Numeric(8, 2)', "abs(price) >= 1000000"),
        ('"age", type_=sa.SmallInteger()', "age NOT BETWEEN -32768 AND 32767"),
        ('"age", type_=sa.String(5)', "length(CAST(age AS CHAR(255))) > 5"),
        ('"age", type_=sa.Date()', "age IS NOT NULL"),
    ],
)
def test_a_change_that_may_lose_values_says_the_query_that_counts_them(change, condition, tmp_path):
    body = f'with op.batch_alter_table("user") as batch_op:\n    batch_op.alter_column({change})'
    (finding,) = linting.judge(tmp_path, body)
    assert finding.instead.endswith(f"WHERE {condition}")


@pytest.mark.parametrize(
    "change",
    [
        '"email", type_=sa.String(60)',
        '"email", type_=sa.Text()',
        '"age", type_=sa.Numeric(20, 2)',
        '"age", type_=sa.String(20)',
        '"price", type_=sa.Numeric(12, 2)',
    ],
)
def test_a_change_that_keeps_every_value_is_not_said(change, tmp_path):
    body = f'with op.batch_alter_table("user") as batch_op:\n    batch_op.alter_column({change})'
    assert linting.judge(tmp_path, body) == []


def test_on_a_screen_each_rule_is_explained_once_and_the_rest_is_counted(tmp_path):
    names = [f"t{number}" for number in range(9)]
    first = "\n".join(f'op.create_table("{name}", sa.Column("a", sa.Integer()))' for name in names)
    drops = "\n".join(f'op.drop_table("{name}")' for name in names)
    said = findings.briefly(linting.judge(tmp_path, drops, first=first))
    assert len(said) == 9
    assert said[-1] == "and more: 3 [loses data]; db check --json has them all"


def test_what_a_migration_does_to_its_own_tables_is_not_said(tmp_path):
    body = """op.create_table("t", sa.Column("a", sa.Integer()), sa.Column("b", sa.Integer()))
op.execute("UPDATE t SET a = 1")
op.execute("DELETE FROM t")
with op.batch_alter_table("t") as batch_op:
    batch_op.drop_column("b")
    batch_op.create_unique_constraint("uq_t_a", ["a"])
op.rename_table("t", "u")
op.drop_table("u")"""
    assert linting.judge(tmp_path, body) == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER tr AFTER INSERT ON post BEGIN DELETE FROM post WHERE id = 0; END",
        "INSERT INTO post (id, title) VALUES (1, 'DROP TABLE post; DELETE FROM post')",
        "SELECT 1 -- DROP TABLE post",
        "CREATE INDEX ix ON post (title)",
    ],
)
def test_words_that_are_not_run_are_not_judged(sql, tmp_path):
    assert linting.judge(tmp_path, f"op.execute({sql!r})") == []


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("WITH old AS (SELECT 1) DELETE FROM post", "delete-rows"),
        ("DELETE FROM post", "delete-rows"),
        ("DELETE post, u FROM post JOIN user AS u ON u.id = post.user_id", "delete-rows"),
        ("ALTER TABLE post DROP COLUMN body", "drop-in-sql"),
        ('ALTER TABLE "post" DROP "body"', "drop-in-sql"),
        ("ALTER TABLE post RENAME COLUMN body TO text", "rename-in-sql"),
    ],
)
def test_statements_are_judged_as_operations_are(sql, rule, tmp_path):
    if '"body"' in sql or "JOIN" in sql:  # not SQLite's grammar: read by its words alone
        assert {rules.rule_of(effect) for effect in effects(sql)} == {rule}
        return
    assert rule in {finding.rule for finding in linting.judge(tmp_path, f"op.execute({sql!r})")}


def test_postgresqls_drop_not_null_in_sql_is_no_drop_of_a_column():
    assert effects("ALTER TABLE post ALTER COLUMN title DROP NOT NULL") == []


OLD_STYLE = """
op.create_table(
    "user",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50)),
    sa.Column("role", sa.String),
    sa.Index("ix_user_email", "email", unique=True),
    sa.Index("ix_user_role", "role"),
    sqlite_autoincrement=True,
)"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('"role", existing_type=sa.String, type_=sa.Integer', "VARCHAR to INTEGER"),
        ('"role", existing_type=sa.String(), type_=sa.Integer', "VARCHAR to INTEGER"),
        ('"role", type_=sa.Date', "VARCHAR to DATE"),
        ('"role", existing_type=sa.VARCHAR, type_=sa.String(9)', "VARCHAR to VARCHAR(9)"),
        ('"role", existing_type=postgresql.UUID, type_=sa.String(9)', "UUID to VARCHAR(9)"),
        ('"role", existing_type=sa.String, type_=sa.Enum("a", "b", name="e")', "VARCHAR to "),
    ],
)
def test_types_are_judged_as_classes_too(change, says, tmp_path):
    body = f'with op.batch_alter_table("user") as batch_op:\n    batch_op.alter_column({change})'
    (said,) = linting.said(tmp_path, body, first=OLD_STYLE)
    assert says in said


def test_an_index_inside_of_a_new_table_is_judged_with_it(tmp_path):
    column = 'sa.Column("big", sa.BigInteger(), primary_key=True)'
    body = f'op.create_table("t", {column}, sa.Index("ix_t_big", "big"))'
    (said,) = linting.said(tmp_path, body, first=OLD_STYLE)
    assert "gives t a primary key of type BIGINT" in said


def test_a_condition_that_is_an_expression_is_said_with_its_values(tmp_path):
    body = """with op.batch_alter_table("user") as batch_op:
    batch_op.create_check_constraint("ck_user_role", sa.column("role").in_(["a", "b"]))"""
    (finding,) = linting.judge(tmp_path, body, first=OLD_STYLE)
    assert finding.first.startswith("line 12: adds a CHECK to user: role IN ('a', 'b') [")
    assert finding.instead.endswith("WHERE NOT (role IN ('a', 'b'))")


def test_what_cannot_be_judged_is_one_line_and_the_rest_is_judged(tmp_path, monkeypatch):
    from flask_keel.lint import rules as lint_rules
    from flask_keel.lint import source

    def stumble(*_):
        raise KeyError("no such thing")

    body = 'op.add_column("post", sa.Column("a", sa.Integer()))\nop.drop_table("post")'
    monkeypatch.setattr(lint_rules, "new_column", stumble)
    monkeypatch.setattr(source, "_modules", stumble)
    file, here, other = linting.judge(tmp_path, body)
    assert here.first == (
        "line 11: what it does cannot be judged (KeyError: 'no such thing') "
        "[not-judged, cannot be told]"
    )
    assert here.fails(zero_downtime=False)
    assert file.first.startswith("what it does cannot be judged")
    assert other.first == "line 12: drops post and its rows [drop-table, loses data]"


def test_a_file_may_have_an_encoding_of_its_own(tmp_path):
    from sqlalchemy.dialects import sqlite

    from flask_keel import lint
    from flask_keel.runner import Recording

    (tmp_path / "m.py").write_bytes("# -*- coding: latin-1 -*-\n# für\n".encode("latin-1"))
    assert lint.check(tmp_path / "m.py", Recording(), sqlite.dialect()) == []


RENAMED = """op.rename_table("user", "account")
with op.batch_alter_table("post") as batch_op:
    batch_op.drop_constraint("fk_post_author_id_user", type_="foreignkey")
    batch_op.create_foreign_key("fk_post_author_id_account", "account", ["author_id"], ["id"]{more})
"""


def test_a_foreign_key_that_is_only_renamed_is_not_spoken_of(tmp_path):
    (said,) = linting.said(tmp_path, RENAMED.format(more=""))
    assert said.startswith("line 11: renames user to account [")


def test_a_foreign_key_is_not_dropped_that_is_made_again_with_another_action(tmp_path):
    said = linting.said(tmp_path, RENAMED.format(more=", ondelete='CASCADE'"))
    assert [line.partition("[")[2] for line in said] == [
        "rename-table, blocks the running release]",
        "add-foreign-key, blocks the running release]",
    ]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("make", "drop"),
    [
        ("create_unique_constraint('{}', ['name'])", "drop_constraint('{}', type_='unique')"),
        ("create_index('{}', ['name'], unique=True)", "drop_index('{}')"),
    ],
)
def test_a_unique_key_that_is_only_renamed_is_not_spoken_of(make, drop, before, tmp_path):
    first = (
        linting.FIRST + "with op.batch_alter_table('user') as b:\n    b." + make.format("uq_old")
    )
    calls = [make.format("uq_new"), drop.format("uq_old")]
    body = "with op.batch_alter_table('user') as b:" + "".join(
        f"\n    b.{call}" for call in (calls if before else reversed(calls))
    )
    assert linting.said(tmp_path, body, first=first) == []
    other = body.replace("['name']", "['age']")
    (said,) = linting.said(tmp_path / "other", other, first=first)
    assert "makes user(age) unique" in said


def test_on_a_server_a_renamed_foreign_key_is_looked_at_again_and_so_it_is_said(
    tmp_path, postgresql_server
):
    said = linting.said(tmp_path, RENAMED.format(more=""), postgresql_server)
    rules = {line.partition("[")[2].partition(",")[0] for line in said}
    assert "add-foreign-key" in rules and "drop-foreign-key" not in rules


def test_the_sql_of_another_librarys_operation_is_not_judged(tmp_path, postgresql_server):
    first = """op.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
op.execute("CREATE TABLE t (m mood DEFAULT 'ok')")"""
    body = """op.sync_enum_values(enum_schema="public", enum_name="mood", new_values=["ok", "fine"],
    affected_columns=[TableReference(table_schema="public", table_name="t", column_name="m",
                                     existing_server_default="'ok'::mood")],
    enum_values_to_rename=[("sad", "fine")])
op.execute("DROP TYPE mood CASCADE")"""
    imports = "from alembic_postgresql_enum import TableReference"
    import alembic_postgresql_enum  # noqa: F401

    with databases.fresh(postgresql_server) as url:
        said = linting.said(tmp_path, body, url, imports=imports, first=first)
    assert {one.split(": ")[0] for one in said} == {"line 15"}, said
    assert said[-1].startswith("line 15: Dropping a type may break existing clients [ban-drop-type")
