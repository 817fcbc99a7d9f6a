"""What SQL of a migration's own loses is said before it runs, however that database has it written."""

import clients
import databases
from sqlalchemy import make_url

from ..lint import linting
from .test_preview import plan, said, story

MANY = 12
MARIADBS = ("ANALYZE", "BEGIN NOT ATOMIC", "EXECUTE IMMEDIATE")  # forms that MySQL does not have
# on tables t1, t2 ... of two rows each: what is run, what is said to be lost of it, and what the lint says
FORMS = {
    "postgresql": [
        (
            "CREATE FUNCTION f1() RETURNS int LANGUAGE sql AS $$ DELETE FROM t9; SELECT 1 $$; DELETE FROM t1",
            ["rows of t1 (2 rows)"],
            "delete-rows",
        ),
        (
            "CREATE FUNCTION f2() RETURNS int BEGIN ATOMIC DELETE FROM t9; SELECT CASE WHEN true THEN 1 END; "
            "END; DELETE FROM t2",
            ["rows of t2 (2 rows)"],
            "delete-rows",
        ),
        (
            r"INSERT INTO t3 VALUES (3, E'it\'s; --'); DELETE FROM t3",
            ["rows of t3 (2 rows)"],
            "delete-rows",
        ),
        (
            r"INSERT INTO t4 VALUES (3, '\'); DELETE FROM t4 --'",
            ["rows of t4 (2 rows)"],
            "delete-rows",
        ),
        ("/* a /* b */ ; */ DELETE FROM t5 WHERE id = 1", ["rows of t5 (1 row)"], "delete-rows"),
        ("EXPLAIN ANALYZE DELETE FROM t6 WHERE id = 1", ["rows of t6 (1 row)"], "delete-rows"),
        (
            "CREATE TABLE gone AS WITH d AS (DELETE FROM t7 RETURNING *) SELECT * FROM d",
            ["rows of t7 (2 rows)"],
            "delete-rows",
        ),
        (
            "COPY (DELETE FROM t8 RETURNING *) TO '/dev/null'",
            ["rows of t8 (2 rows)"],
            "delete-rows",
        ),
        ("DO $$ BEGIN DELETE FROM t9; END $$", ["UNTOLD"], "delete-rows"),
        (
            "PREPARE p AS DELETE FROM t10; EXECUTE p",
            ["PREPARE p AS DELETE FROM t10 UNTOLD"],
            "delete-rows",
        ),
        (
            "ALTER TABLE t12 RENAME v TO key; ALTER TABLE t12 DROP COLUMN key",
            ["t12.v (2 values)"],
            "drop-in-sql",
        ),
        (
            "WITH d AS (DELETE FROM t11 RETURNING *) SELECT * FROM d",
            ["rows of t11 (2 rows)"],
            "delete-rows",
        ),
    ],
    "mysql": [
        ("/*!40101 DELETE FROM t1 */", ["rows of t1 (2 rows)"], "delete-rows"),
        ("/*M! DELETE FROM t2 WHERE id = 1 */", ["rows of t2 (1 row)"], "delete-rows"),
        ("# why; not\nDELETE FROM t3 -- all;", ["rows of t3 (2 rows)"], "delete-rows"),
        (r"""DELETE FROM t4 WHERE v <> "it\"s; '" """, ["rows of t4 (2 rows)"], "delete-rows"),
        ("DELETE FROM t5 WHERE id = 0--1", ["rows of t5 (1 row)"], "delete-rows"),
        ("ANALYZE FORMAT=JSON DELETE FROM t6 WHERE id = 1", ["rows of t6 (1 row)"], "delete-rows"),
        ("DELETE x FROM t7 AS x JOIN t12 USING (id)", ["UNTOLD"], "delete-rows"),
        (
            "BEGIN NOT ATOMIC DELETE FROM t8; DELETE FROM t9; END",
            ["UNTOLD"],
            "delete-rows",
        ),
        ("EXECUTE IMMEDIATE 'DROP TABLE t10'", ["UNTOLD"], "drop-in-sql"),
        (
            "CREATE TRIGGER g AFTER INSERT ON t11 FOR EACH ROW BEGIN DELETE FROM t12; "
            "SET @a = CASE WHEN 1 THEN 2 END; END",
            [],
            None,
        ),
    ],
    "sqlite": [
        (
            "CREATE TRIGGER g AFTER INSERT ON t11 BEGIN DELETE FROM t12; SELECT CASE WHEN 1 THEN 2 END; END",
            [],
            None,
        ),
        (r"DELETE FROM t1 WHERE v <> '\'", ["rows of t1 (2 rows)"], "delete-rows"),
        ("DELETE FROM 't3'", ["rows of t3 (2 rows)"], "delete-rows"),
        ("ALTER TABLE 't4' DROP 'v'", ["t4.v (2 values)"], "drop-in-sql"),
        ("/* /* */ DELETE FROM [t2]", ["rows of t2 (2 rows)"], "delete-rows"),
    ],
}


TABLES = f"""
for number in range(1, {MANY + 1}):
    op.create_table(
        f"t{{number}}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.String(20))
    )
    op.execute(f"INSERT INTO t{{number}} VALUES (1, 'a'), (2, 'b')")
"""


def test_each_form_is_announced_found_by_the_lint_and_printed_as_it_runs(
    any_database, url, twin, tmp_path
):
    forms = FORMS[make_url(url).get_backend_name()]
    if databases.MYSQLD:
        forms = [form for form in forms if not form[0].startswith(MARIADBS)]
    bodies = [f"op.execute({sql!r})" for sql, *_ in forms]
    any_database.migration("f0", None, TABLES)
    story(any_database, bodies)
    clients.feed(twin, any_database.db("upgrade", "--sql").assert_ok().out)
    any_database.db("upgrade", "f0").assert_ok()
    untold = "(rows that cannot be counted)"
    assert [said(one) for one in plan(any_database)["revisions"]] == [
        [f"{sql} {untold}" if one == "UNTOLD" else one.replace("UNTOLD", untold) for one in loses]
        for sql, loses, _ in forms
    ]
    any_database.db("upgrade").assert_ok()
    assert clients.dump(twin) == clients.dump(url)
    found = linting.judge(tmp_path / "judged", "\n".join(bodies), url, first=TABLES)
    rules = {(one.line, one.rule) for one in found}
    for line, (sql, _, rule) in enumerate(forms, 11):
        assert (line, rule) in rules if rule else line not in dict(rules), sql
