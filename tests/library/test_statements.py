"""What a statement does to tables and rows is read from its words."""

import pytest

from flask_keel.lexer import split
from flask_keel.statements import changes, commits, effects

CASES = {
    'DROP TABLE a, IF_EXISTS, "B".c CASCADE': [
        "drop table a",
        "drop table IF_EXISTS",
        "drop table B.c",
    ],
    "drop table if exists `a`": ["drop table a"],
    "DROP TEMPORARY TABLE a": [],
    "DROP INDEX a": [],
    "DROP VIEW a CASCADE": [],
    "DROP TYPE mood": [],
    "DROP TYPE mood CASCADE": ["drop"],
    "DROP SCHEMA audit": ["drop schema"],
    "DROP SCHEMA audit CASCADE": ["drop"],
    "DROP DATABASE a": ["drop"],
    "ALTER TABLE t DROP COLUMN IF EXISTS a, DROP CONSTRAINT x, drop b": [
        "drop column t a",
        "drop column t b",
    ],
    "ALTER TABLE t DROP PRIMARY KEY, DROP FOREIGN KEY f": [],
    "ALTER TABLE t DROP PARTITION p": ["drop t"],
    "ALTER TABLE t ALTER COLUMN a DROP NOT NULL": [],
    "ALTER TABLE t ADD COLUMN c INT, ADD CONSTRAINT d CHECK (c > 1)": ["add column t c"],
    "ALTER TABLE a RENAME TO b": ["rename table a to b"],
    "alter table a rename b": ["rename table a to b"],
    "ALTER TABLE a RENAME COLUMN c TO d": ["rename column a c d"],
    "ALTER TABLE a RENAME c TO d": ["rename column a c d"],
    "ALTER TABLE a RENAME INDEX c TO d": [],
    "ALTER TABLE a CHANGE c d INT": ["rename column a c d", "unreadable"],
    "ALTER TABLE a ALTER COLUMN c TYPE INT USING c::int": ["unreadable"],
    "ALTER TABLE a SET SCHEMA s": ["rename table a to s.a"],
    "RENAME TABLE a TO b, c TO d": ["rename table a to b", "rename table c to d"],
    "TRUNCATE TABLE ONLY a, b RESTART IDENTITY": ["delete a", "delete b"],
    "DELETE FROM t WHERE name = 'a;b' RETURNING id": ["delete t where name = 'a;b'"],
    "DELETE FROM t USING u WHERE t.id = u.id": ["delete t"],
    "DELETE a FROM a JOIN b ON a.id = b.id": ["drop a"],
    "UPDATE t SET a = 1, b = (SELECT max(c), 2 FROM d WHERE x = 1) WHERE a IS NULL -- why": [
        "update t a b where a IS NULL"
    ],
    "UPDATE t AS x SET (a, b) = (1, 2)": ["update t a b"],
    "UPDATE OR IGNORE t SET a = a + 1": ["update t a"],
    "UPDATE a JOIN b ON a.id = b.id SET a.x = b.x": ["drop a"],
    "UPDATE t SET a = u.a FROM u WHERE u.id = t.id": ["update t a"],
    "WITH d AS (DELETE FROM x RETURNING *) INSERT INTO y SELECT * FROM d": ["delete x", "insert y"],
    "WITH c AS (SELECT replace(a, b, c) FROM d) SELECT * FROM c": [],
    "WITH c AS (SELECT 1) REPLACE INTO a VALUES (1)": ["unreadable", "insert a"],
    "WITH c AS (SELECT 1) INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1": [
        "unreadable",
        "insert a",
    ],
    "WITH c AS (SELECT 1) UPDATE t SET a = 1 WHERE b = 2": ["update t a"],
    "WITH c AS (SELECT 1) SELECT * FROM c FOR UPDATE": [],
    "SELECT 'DROP TABLE a'": [],
    "/* DELETE FROM a */ INSERT INTO a VALUES (1)": ["insert a"],
    "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET x = 1": ["unreadable", "insert a"],
    "INSERT OR REPLACE INTO a VALUES (1)": ["unreadable", "insert a"],
    "REPLACE INTO a VALUES (1)": ["unreadable"],
    "CREATE TABLE IF NOT EXISTS event (id INT)": ["create table event"],
    "CREATE OR REPLACE TABLE a (id INT)": ["drop table a", "create table a"],
    "CREATE INDEX i ON t (a)": [],
    "CREATE TRIGGER d AFTER INSERT ON t BEGIN DELETE FROM u; UPDATE u SET a = 1; END": [],
    "DO $$ BEGIN DELETE FROM x; END $$": ["drop"],
    "CALL tidy()": ["unreadable"],
    "-- why\nDELETE FROM a": ["delete a"],
    "SET STATEMENT lock_wait_timeout=5 FOR DELETE FROM a": ["delete a"],
    "DROP TABLES a, b": ["drop table a", "drop table b"],
    "ALTER IGNORE TABLE t DROP a": ["drop column t a"],
    "ALTER TABLE t WAIT 5 DROP COLUMN a": ["drop column t a"],
    "UPDATE LOW_PRIORITY IGNORE t SET a = 1": ["update t a"],
    "DELETE FROM a; DROP TABLE b; -- and no more": ["delete a", "drop table b"],
    "": [],
    "DROP": [],
    "UPDATE": ["drop"],
    "ALTER TABLE": [],
}


def say(effect):
    def name(table):
        return f"{table.schema}.{table.name}" if table.schema else table.name

    parts = [effect.verb, *([name(effect.table)] if effect.table else []), *effect.columns]
    parts += ["to", name(effect.new)] if effect.new else []
    parts += ["where", effect.where] if effect.where else []
    return " ".join(parts)


@pytest.mark.parametrize(("sql", "done"), CASES.items(), ids=list(CASES))
def test_a_statement_does_what_its_words_say(sql, done):
    assert [say(effect) for one in split(sql) for effect in effects(one)] == done


BODY = "BEGIN DELETE FROM a; UPDATE a SET b = CASE WHEN c THEN 1 ELSE 2 END; END"
OF_ONE = {
    "postgresql": {
        "CREATE FUNCTION f() RETURNS int AS $$ ; DROP TABLE a; $$; DELETE FROM b": ["delete b"],
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM a; "
            "SELECT CASE WHEN b THEN 1 END; END; DROP TABLE c"
        ): ["drop table c"],
        "CREATE RULE r AS ON INSERT TO a DO (DELETE FROM b; NOTIFY c); DROP TABLE d": [
            "drop table d"
        ],
        r"INSERT INTO a VALUES (E'\'; DROP TABLE b --'); DELETE FROM c": ["insert a", "delete c"],
        r"INSERT INTO a VALUES ('\'); DELETE FROM c --'": ["insert a", "delete c"],
        "/* /* */ DROP TABLE a; */ DELETE FROM b WHERE c": ["delete b where c"],
        "UPDATE t SET a[1] = 2, b = 3": ["update t a b"],
        "EXPLAIN DELETE FROM a": [],
        "EXPLAIN ANALYZE VERBOSE DELETE FROM a WHERE b": ["delete a where b"],
        "EXPLAIN (FORMAT JSON, ANALYZE) UPDATE a SET b = 1": ["update a b"],
        "EXPLAIN (ANALYZE off) DELETE FROM a": [],
        "EXPLAIN ANALYZE SELECT 1": [],
        "ANALYZE a": [],
        "CREATE TABLE x AS WITH d AS (DELETE FROM a WHERE b RETURNING *) SELECT * FROM d": [
            "create table x",
            "delete a",
        ],
        "CREATE TEMP TABLE x (a int) WITH (fillfactor=70) ON COMMIT DELETE ROWS": [
            "create table x"
        ],
        "INSERT INTO a WITH d AS (DELETE FROM b RETURNING *) SELECT * FROM d": [
            "insert a",
            "delete b",
        ],
        "COPY (DELETE FROM a RETURNING *) TO STDOUT": ["delete a"],
        "COPY a (b) FROM '/tmp/c'": ["insert a"],
        "COPY a TO STDOUT": [],
        "WITH c AS (SELECT 1) SELECT * FROM c FOR NO KEY UPDATE": [],
        "PREPARE p AS DELETE FROM a; EXECUTE p": ["drop", "unreadable"],
        "DO $$ BEGIN ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c ON DELETE CASCADE; END $$": [
            "unreadable"
        ],
        "DO $$ BEGIN DROP TRIGGER a ON b; GRANT UPDATE, DELETE ON b TO c; END $$": ["unreadable"],
        "DO $$ BEGIN CREATE TRIGGER a AFTER UPDATE OF b OR DELETE ON c; END $$": ["unreadable"],
        "DO $$ BEGIN DROP TRIGGER a ON b; DELETE FROM b; END $$": ["drop"],
        "ALTER SCHEMA a RENAME TO b": ["rename"],
        "ALTER TABLE t DROP COLUMN key, DROP index, DROP period CASCADE": [
            "drop column t key",
            "drop column t index",
            "drop column t period",
        ],
        "ALTER TABLE t ADD COLUMN key INT, RENAME key TO index": [
            "add column t key",
            "rename column t key index",
        ],
        "ALTER TYPE t DROP ATTRIBUTE a CASCADE": ["drop"],
        "TRUNCATE a, b CASCADE": ["delete a", "delete b", "drop"],
        "ALTER TABLE s.a RENAME TO b": ["rename table s.a to s.b"],
    },
    "sqlite": {
        f"CREATE TEMP TRIGGER t AFTER INSERT ON a {BODY}; DROP TABLE b": ["drop table b"],
        (
            "CREATE TRIGGER t AFTER UPDATE OF end ON a BEGIN UPDATE b SET end = NEW.end, x = 1; "
            "SELECT 1; END; DELETE FROM c"
        ): ["delete c"],
        (
            "CREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON a WHEN CASE NEW.b WHEN 1 THEN 2 END "
            "BEGIN SELECT CASE end WHEN 1 THEN begin END FROM b; DELETE FROM b; END; DELETE FROM c"
        ): ["delete c"],
        "DELETE FROM 'a'; ALTER TABLE 'a' DROP 'b'; UPDATE a SET 'b' = 'c', d = 1": [
            "delete a",
            "drop column a b",
            "update a b d",
        ],
        r"DELETE FROM [a;b] WHERE c = '\'; DROP TABLE d": [
            "delete a;b where c = '\\'",
            "drop table d",
        ],
    },
    "mysql": {
        f"CREATE DEFINER=`a`@`b` TRIGGER t AFTER INSERT ON a FOR EACH ROW {BODY}; DROP TABLE b": [
            "drop table b"
        ],
        "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW DELETE FROM b; DROP TABLE c": [
            "drop table c"
        ],
        (
            "CREATE PROCEDURE IF NOT EXISTS p(i INT) COMMENT 'x' l: BEGIN DECLARE EXIT HANDLER FOR "
            "NOT FOUND BEGIN END; IF i THEN DROP TABLE IF EXISTS a; "
            "ELSEIF REPEAT('a', 2) THEN SET @a = IF(i, 1, CASE WHEN 1 THEN IF(1, 2, 3) END); "
            "ELSE CASE i WHEN 1 THEN IF 1 THEN DELETE FROM b; END IF; ELSE BEGIN END; END CASE; "
            "END IF; WHILE i DO SET i = 0; END WHILE; REPEAT SET i = 1; UNTIL i END REPEAT; "
            "r: LOOP LEAVE r; END LOOP; END l; DROP TABLE c"
        ): ["drop table c"],
        "CREATE PROCEDURE p() IF 1 THEN DELETE FROM a; END IF; DROP TABLE b": ["drop table b"],
        "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN IF(a, 1, 2); DROP TABLE b": [
            "drop table b"
        ],
        "CREATE PROCEDURE p() UPDATE a SET b = 1, begin = 2; DROP TABLE b": ["drop table b"],
        (
            "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW FOLLOWS s BEGIN "
            "DECLARE CONTINUE HANDLER FOR 1062 IF 1 THEN DELETE FROM b; END IF; END; DROP TABLE c"
        ): ["drop table c"],
        (
            "CREATE FUNCTION f() RETURNS VARCHAR(9) CHARSET utf8mb4 BEGIN DELETE FROM a; END; DROP TABLE b"
        ): ["drop table b"],
        "ALTER TABLE s.a RENAME TO b": ["rename table s.a to b"],
        "ALTER TABLE a DROP KEY b, DROP INDEX `c`, DROP PRIMARY KEY, RENAME KEY d TO e": [],
        "ALTER TABLE a RENAME COLUMN IF EXISTS b TO c, ADD COLUMN (d INT, e INT)": [
            "rename column a b c"
        ],
        'DELETE FROM "a"': ["delete a"],
        "ANALYZE TABLE a UPDATE HISTOGRAM ON b": [],
        "EXPLAIN ANALYZE DELETE a FROM a JOIN b USING (c)": ["drop a"],
        "DELETE x, y.* FROM a AS x JOIN b y ON x.c = y.c": ["drop a", "drop b"],
        "DELETE FROM x, b USING a x JOIN b": ["drop a", "drop b"],
        "DELETE LOW_PRIORITY IGNORE FROM a WHERE b = 1 LIMIT 5": ["delete a where b = 1"],
        r"""UPDATE a SET b = "it\"s; DROP TABLE c" WHERE d = 'x\'y' # why""": [
            "update a b where d = 'x\\'y'"
        ],
        "/*!40000 DROP TABLE a */; /*M! DELETE FROM b */": ["drop table a", "delete b"],
        "# DROP TABLE a;\nDELETE FROM b --": ["delete b"],
        "ALTER TABLE a ADD b INT, ALGORITHM=COPY, LOCK = NONE": ["add column a b", "copy a"],
    },
    "mariadb": {
        "BEGIN NOT ATOMIC SELECT 1; DELETE FROM a; END; DROP TABLE b": ["drop", "drop table b"],
        "IF 1 THEN DELETE FROM a; END IF": ["drop"],
        "ANALYZE FORMAT=JSON DELETE FROM a": ["delete a"],
    },
}


@pytest.mark.parametrize(
    ("database", "sql", "done"),
    [(database, *case) for database, cases in OF_ONE.items() for case in cases.items()],
)
def test_a_statement_is_read_as_its_database_reads_it(database, sql, done):
    found = [effect for one in split(sql, database) for effect in effects(one, database)]
    assert [say(effect) for effect in found] == done


@pytest.mark.parametrize(
    ("sql", "every"),
    [
        ("UPDATE a SET b = (SELECT c FROM d WHERE d.id = a.id)", True),
        ("UPDATE a SET b = 1 WHERE c", False),
        ("UPDATE a SET b = 1 ORDER BY c LIMIT 3", False),
        ("UPDATE a SET b = d.b FROM d WHERE d.id = a.id", False),
        ('DELETE FROM "my post"', True),
        ("WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d WHERE e", True),
    ],
)
def test_a_condition_within_a_value_is_not_one_of_the_rows(sql, every):
    assert [effect.every for effect in effects(sql)] == [every]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d",
        "EXPLAIN ANALYZE DELETE FROM a",
        "EXPLAIN (ANALYZE, BUFFERS) WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d",
        "/* /* */ */ DELETE FROM a",
        "SELECT ';'; DELETE FROM a",
        "BEGIN; DELETE FROM a; COMMIT",
    ],
)
def test_what_deletes_on_the_way_to_an_answer_changes_the_database(sql):
    assert changes(sql, "postgresql")


def test_a_block_that_mariadb_runs_at_once_is_no_beginning_of_a_transaction():
    assert changes("BEGIN NOT ATOMIC DELETE FROM a; END", "mysql")
    assert not changes("BEGIN", "mysql")


def test_what_is_explained_only_changes_nothing():
    assert not changes("EXPLAIN DELETE FROM a", "postgresql")
    assert not changes("EXPLAIN ANALYZE SELECT 1", "postgresql")


def test_only_what_mysql_commits_is_said_to_be_committed():
    assert commits("ANALYZE TABLE a")
    assert commits("# why\nALTER TABLE a ADD b INT")
    assert not commits("ANALYZE FORMAT=JSON DELETE FROM a")
