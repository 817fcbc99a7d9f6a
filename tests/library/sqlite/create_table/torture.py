# the statements are what they are: some lines are long, some end in a space
# ruff: noqa: W291
"""Statements that SQLite takes and that a reader of SQL gets wrong, each under a name of its own.

All of them can be run one after another in a database that has the tables p and q of ``PARENTS``.
"""

PARENTS = """
CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE, "a b" TEXT UNIQUE, UNIQUE (id, code));
CREATE TABLE q (x INTEGER PRIMARY KEY);
"""

STATEMENTS = {
    "plain": "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT)",
    "four kinds of quotes": """CREATE TABLE "t" ("a" INT, [b] TEXT, `c` TEXT, 'd' TEXT)""",
    "doubled quotes": """CREATE TABLE "t""x" ("a""b" INT, `c``d` TEXT, 'e''f' TEXT, [g"h] INT)""",
    "quotes of another kind inside": """CREATE TABLE t ("a'b" INT, 'c"d' INT, `e"f` INT, [g'h] INT)""",
    "names that look like syntax": """CREATE TABLE t ("a, b" INT, "c)" INT, "--d" INT, "/*e" INT)""",
    "a name of spaces": 'CREATE TABLE "  " ("   " INT, " a" TEXT)',
    "comments of both kinds": """CREATE TABLE t ( -- one, (two
  a INT, /* three, ) */
  b /* in ' the */ TEXT /* middle */ NOT /* of */ NULL, -- it's "odd
  c INT -- the last, )
)""",
    "a comment over several lines": "CREATE TABLE t (/* a\n b\n*/ a INT /* c,\n d */, b INT)",
    "a comment right after a word": "CREATE TABLE t(a/**/INT/**/NOT/**/NULL,b--x\n)",
    "a comment inside a comment's mark": "CREATE TABLE t (a INT /* -- */, b INT -- /* \n, c INT)",
    "comments in front of commas": "CREATE TABLE t (a INT -- first\n, b INT -- second\n, c INT)",
    "no space where none is due": 'CREATE TABLE"t"("a"INT,"b"TEXT DEFAULT"x"NOT NULL,[c]INT)',
    "tabs, form feeds and returns": "CREATE TABLE\tt\f(a\r\n INT,\r\n\tb \v TEXT)",
    "a no-break space is a letter": "CREATE TABLE t (a\u00a0INT, b\u2003c TEXT, \u3000 INT)",
    "letters beyond ascii": "CREATE TABLE größe (straße TEXT, naïve INT, 名前 TEXT, \U0001f600 INT)",
    "case that only python folds": "CREATE TABLE t (\u0131 INT, I INT, \u017f INT, S INT, \u212a INT, k INT)",
    "capitals": "CREATE TABLE T (Id INTEGER primary KEY, NAME Text nOt NuLl, UNIQUE (name, ID))",
    "dollars in a name": "CREATE TABLE t (a$b INT, c$ TEXT, _ INT, _1 INT)",
    "no types": "CREATE TABLE t (a, b, c NOT NULL, d DEFAULT 1, e PRIMARY KEY)",
    "types of several words": """CREATE TABLE t (a UNSIGNED BIG INT, b DOUBLE PRECISION,
  c NATIVE CHARACTER ( 70 ), d VARYING CHARACTER(255) NOT NULL, e DECIMAL (10 , 5), f N(+1, -2))""",
    "types in quotes": """CREATE TABLE t (a "my type", b 'other type', c [int], d `x y` NOT NULL)""",
    "a quoted type with a size": 'CREATE TABLE t (a "varchar"(10), b "say ""x""" (1,2))',
    "a type with a comment in it": "CREATE TABLE t (a VARCHAR /* size: */ (10) NOT NULL, b INT)",
    "fallback keywords as names": """CREATE TABLE t (key INT, replace TEXT, "end" INT, if INT,
  action INT, abort, temp, rows INT, cast INT, view, first INT, match INT, like INT, glob INT)""",
    "join words as names": "CREATE TABLE t (left INT, cross TEXT, full INT, natural, indexed INT)",
    "reserved words in quotes": """CREATE TABLE "table" ("select" INT, [check] INT, `primary` INT,
  "constraint" INT, 'unique' INT, "foreign" INT, "references" INT, "not" INT NOT NULL)""",
    "a column called generated": "CREATE TABLE t (generated INT, always INT, stored INT, strict)",
    "a column called constraint": 'CREATE TABLE t ("constraint" CONSTRAINT "not null" NOT NULL)',
    "a type of keywords": "CREATE TABLE t (a KEY, b REPLACE IGNORE, c ROW (3), d GENERATED)",
    "generated always and no more": "CREATE TABLE t (a INT GENERATED ALWAYS, b GENERATED ALWAYS)",
    "a string as a primary key": "CREATE TABLE t ('id' 'integer' PRIMARY KEY, a INT)",
    "integer primary key": "CREATE TABLE t (id INTEGER CONSTRAINT pk PRIMARY KEY ASC AUTOINCREMENT)",
    "primary key desc": "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, a INT)",
    "primary key with a conflict": """CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE
  AUTOINCREMENT, a INT)""",
    "autoincrement of the table": "CREATE TABLE t (id INTEGER, a, PRIMARY KEY (id AUTOINCREMENT))",
    "a key with collations and orders": """CREATE TABLE t (a TEXT, b TEXT, c INT,
  PRIMARY KEY ("a" COLLATE nocase DESC, b COLLATE "rtrim" ASC, [c]) ON CONFLICT IGNORE)""",
    "a key in parentheses": "CREATE TABLE t (a INT, b INT, PRIMARY KEY ((a), (b) COLLATE nocase))",
    "a key in strings": "CREATE TABLE t (a INT, b INT, UNIQUE ('a', 'b' DESC), PRIMARY KEY ('b'))",
    "unique, each way": """CREATE TABLE t (a UNIQUE, b INT UNIQUE ON CONFLICT FAIL, c INT, d INT,
  UNIQUE (c), CONSTRAINT "u d" UNIQUE (c, d DESC) ON CONFLICT ROLLBACK, UNIQUE (d COLLATE nocase))""",
    "not null with a conflict": """CREATE TABLE t (a INT NOT NULL ON CONFLICT IGNORE,
  b INT CONSTRAINT nn NOT NULL ON CONFLICT REPLACE DEFAULT 3, c NOT NULL)""",
    "null, which says nothing": "CREATE TABLE t (a INT NULL, b INT NULL ON CONFLICT FAIL NOT NULL)",
    "the last of two counts": """CREATE TABLE t (a DEFAULT (1) DEFAULT 2 COLLATE nocase
  COLLATE binary NOT NULL NOT NULL)""",
    "defaults of numbers": """CREATE TABLE t (a DEFAULT 1, b DEFAULT -1, c DEFAULT + 2.5, d DEFAULT
  1e5, e DEFAULT -.5E-3, f DEFAULT 0x1F, g DEFAULT - 9223372036854775808, h DEFAULT 1.)""",
    "defaults of strings": '''CREATE TABLE t (a DEFAULT 'it''s, (b)', b DEFAULT "double ""q""",
  c DEFAULT x'00ff', d DEFAULT X'', e DEFAULT '', f DEFAULT foo, g DEFAULT [br ack], h DEFAULT -'5')''',
    "defaults of words": """CREATE TABLE t (a DEFAULT TRUE, b DEFAULT false, c DEFAULT NULL,
  d DEFAULT CURRENT_TIMESTAMP, e DEFAULT current_date NOT NULL, f DEFAULT key, g DEFAULT CURRENT_TIME)""",
    "defaults of expressions": """CREATE TABLE t (a DEFAULT (1 + 2), b DEFAULT ( ( 3 ) ) NOT NULL,
  c DEFAULT (strftime('%Y-(%m)', 'now')), d DEFAULT (CASE WHEN 1 THEN ')' ELSE '(' END),
  e DEFAULT (/* a ) */ 1 -- b )
  ), f DEFAULT ('a' || ',' || 'b'))""",
    "collations": """CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT COLLATE "rtrim" NOT NULL,
  c COLLATE 'binary', d TEXT NOT NULL CONSTRAINT cc COLLATE [nocase])""",
    "checks of columns": """CREATE TABLE t (a INT CHECK (a > 0), b TEXT CONSTRAINT ck
  CHECK ( b IN ('x,)', 'y(', "c") AND (length(b) < (10)) ) NOT NULL, c INT CHECK (c) CHECK (c < 9))""",
    "checks of the table": """CREATE TABLE t (a INT, b INT, CHECK (a < b), CONSTRAINT "a b" CHECK
  (a <> ')' AND b NOT LIKE '--%'), CHECK (t.a IS NOT NULL) ON CONFLICT IGNORE)""",
    "no commas between constraints": """CREATE TABLE t (a INT, b INT,
  UNIQUE (a) CHECK (a > 0) CONSTRAINT c2 CHECK (b > 0) FOREIGN KEY (b) REFERENCES p (id)
  PRIMARY KEY (b, a))""",
    "several names in a row": """CREATE TABLE t (a INT CONSTRAINT one CONSTRAINT two NOT NULL,
  CONSTRAINT three CONSTRAINT "four" CHECK (a > 0), CONSTRAINT five CONSTRAINT six UNIQUE (a))""",
    "a name and nothing after it": """CREATE TABLE t (a INT CONSTRAINT one, b CONSTRAINT two,
  CHECK (a), CONSTRAINT three, CONSTRAINT four CONSTRAINT five)""",
    "a name alone before a comma": "CREATE TABLE t (a INT, CONSTRAINT x, CHECK (a) CONSTRAINT y)",
    "inline references": """CREATE TABLE t (a INT REFERENCES p, b INT REFERENCES p (id) ON DELETE
  CASCADE ON UPDATE SET NULL, c TEXT CONSTRAINT fk REFERENCES "p" ("a b") ON UPDATE NO ACTION,
  d REFERENCES [q] MATCH full ON DELETE SET DEFAULT NOT NULL, e REFERENCES q ON INSERT CASCADE)""",
    "deferred references": """CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY DEFERRED,
  b REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED NOT NULL, c REFERENCES q DEFERRABLE,
  d REFERENCES q DEFERRABLE INITIALLY IMMEDIATE)""",
    "deferrable apart from its reference": """CREATE TABLE t (a REFERENCES p NOT NULL DEFERRABLE
  INITIALLY DEFERRED DEFAULT 1, b INT DEFAULT 2 REFERENCES q(x))""",
    "two references of one column": """CREATE TABLE t (a REFERENCES p REFERENCES q ON DELETE SET
  NULL NOT DEFERRABLE)""",
    "foreign keys of the table": """CREATE TABLE t (a INT, b TEXT, "c d" TEXT,
  FOREIGN KEY (a) REFERENCES p, CONSTRAINT "f k" FOREIGN KEY (a, b) REFERENCES p (id, code)
    ON UPDATE CASCADE ON DELETE RESTRICT MATCH simple DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY ("c d") REFERENCES 'p' ('a b') NOT DEFERRABLE)""",
    "a reference to itself": """CREATE TABLE t (id INTEGER PRIMARY KEY, up INT REFERENCES t,
  top INT REFERENCES T (ID), FOREIGN KEY (up) REFERENCES "t" ("id"))""",
    "generated columns": """CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED,
  c INT AS (a + (1)) VIRTUAL NOT NULL, d AS (a || ')'), e TEXT generated always as (a) CHECK (e),
  f INT UNIQUE AS (a) stored)""",
    "strict": "CREATE TABLE t (a INT, b ANY, c TEXT NOT NULL, d REAL, e BLOB) STRICT",
    "without rowid": "CREATE TABLE t (a TEXT PRIMARY KEY, b INT) WITHOUT ROWID",
    "both options": "CREATE TABLE t (a INT PRIMARY KEY, b TEXT) strict , /* and */ without\nrowid",
    "both, the other way round": "CREATE TABLE t (a INT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID,STRICT;",
    "if not exists": "CREATE TABLE IF NOT EXISTS main.t (a INT)",
    "as select": """CREATE TABLE t AS SELECT 1 AS a, 'x' AS "b c", CAST(1 AS REAL) AS "select", 2.5 AS d""",
    "as select from a table": """CREATE TABLE t AS SELECT id, code, "a b" FROM p""",
    "strings that hold everything": """CREATE TABLE t (a TEXT DEFAULT ', b INT)', b TEXT CHECK
  (b <> ') CHECK (' AND b <> '/*' AND b <> '--'), c TEXT DEFAULT "*/ -- ", CHECK (c <> ''''))""",
    "nested parentheses": "CREATE TABLE t (a INT CHECK ((((a)) > (((0)))) OR ((a) IN ((1), (2)))), b)",
    "case and cast": """CREATE TABLE t (key INT, end INT, type TEXT,
  CHECK (CASE WHEN key THEN end ELSE CAST(type AS end) END), CHECK (end BETWEEN 1 AND key))""",
    "operators": """CREATE TABLE t (a INT, b TEXT, CHECK (a->>'$.x' <> -1 AND b IS NOT DISTINCT FROM a
  OR ~a || b << 1 >= +2 OR b NOT GLOB '[a-z]*' OR b LIKE 'x' ESCAPE '\\' OR a ISNULL OR b NOTNULL))""",
    "made by hand, untidily": """CREATE TABLE  t(id INTEGER PRIMARY KEY   ,
a  INT,b TEXT
NOT NULL ,   c INT)""",
    "sqlalchemy's own": """CREATE TABLE post (
	id INTEGER NOT NULL, 
	title VARCHAR(200) DEFAULT 'untitled' NOT NULL, 
	author_id INTEGER, 
	CONSTRAINT pk_post PRIMARY KEY (id), 
	CONSTRAINT uq_post_title UNIQUE (title), 
	CONSTRAINT fk_post_author_id_p FOREIGN KEY(author_id) REFERENCES p (id) ON DELETE CASCADE, 
	CONSTRAINT ck_post_title CHECK (length(title) > 0)
)""",
}

# what ALTER TABLE makes of a text, each as the statements that lead to it
ALTERED = {
    "a column added": ["CREATE TABLE t (a INT)", "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'"],
    "a column added before the constraints": [
        "CREATE TABLE t (a INT -- x\n, CHECK (a > 0) CHECK (a < 9) -- y\n)",
        "ALTER TABLE t ADD b TEXT NOT NULL DEFAULT 'q' CHECK (b <> ',')",
    ],
    "a column added behind a comment": [
        "CREATE TABLE t (a INT -- the last )\n)",
        "ALTER TABLE t ADD b /* c */ INT REFERENCES p (id)",
    ],
    "a column added to a strict table": [
        "CREATE TABLE t (a INT PRIMARY KEY) STRICT, WITHOUT ROWID",
        "ALTER TABLE t ADD b TEXT",
    ],
    "a column dropped": [
        "CREATE TABLE t (a INT, -- a\n b INT, -- b\n c INT -- c\n)",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t DROP COLUMN c",
    ],
    "a table and a column renamed": [
        "CREATE TABLE s (a INT CHECK (s.a > 0), b INT REFERENCES s (a), UNIQUE (a))",
        "ALTER TABLE s RENAME TO [t x]",
        'ALTER TABLE "t x" RENAME a TO "a ""b"',
    ],
}
