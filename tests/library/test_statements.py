"""What a statement does to tables and rows is read from its words."""

import pytest

from flask_keel.statements import effects, split

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
    "ALTER TABLE t DROP PARTITION p": ["drop"],
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
    "DELETE a FROM a JOIN b ON a.id = b.id": ["drop"],
    "UPDATE t SET a = 1, b = (SELECT max(c), 2 FROM d WHERE x = 1) WHERE a IS NULL -- why": [
        "update t a b where a IS NULL"
    ],
    "UPDATE t AS x SET (a, b) = (1, 2)": ["update t a b"],
    "UPDATE OR IGNORE t SET a = a + 1": ["update t a"],
    "UPDATE a JOIN b ON a.id = b.id SET a.x = b.x": ["drop"],
    "UPDATE t SET a = u.a FROM u WHERE u.id = t.id": ["update t a"],
    "WITH d AS (DELETE FROM x RETURNING *) INSERT INTO y SELECT * FROM d": ["delete x", "insert y"],
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
