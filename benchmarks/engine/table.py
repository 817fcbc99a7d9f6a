"""The database that every run begins with: items with two indexes and a key, and their children."""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE maker (id INTEGER NOT NULL, name VARCHAR(50) NOT NULL, CONSTRAINT pk_maker PRIMARY KEY (id));
CREATE TABLE item (
	id INTEGER NOT NULL,
	owner_id INTEGER,
	maker_id INTEGER,
	name VARCHAR(50),
	code VARCHAR(20),
	amount INTEGER DEFAULT 0,
	note VARCHAR(200),
	CONSTRAINT pk_item PRIMARY KEY (id),
	CONSTRAINT fk_item_owner_id_maker FOREIGN KEY(owner_id) REFERENCES maker (id)
);
CREATE INDEX ix_item_name ON item (name);
CREATE INDEX ix_item_amount ON item (amount);
CREATE TABLE line (
	id INTEGER NOT NULL,
	item_id INTEGER NOT NULL,
	CONSTRAINT pk_line PRIMARY KEY (id),
	CONSTRAINT fk_line_item_id_item FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0001');
CREATE TABLE django_migrations (id INTEGER PRIMARY KEY);
"""


def build(path: Path, rows: int) -> None:
    """Make the database with so many items, and as many lines.

    :param rows: rows of ``item``
    """
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.executemany(
        "INSERT INTO maker VALUES (?, ?)", ((i, f"maker {i}") for i in range(1000))
    )
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO item SELECT i, i % 1000, i % 997, "
        "'name ' || (i * 7919 % 1000003), 'code' || i, i % 5000, 'a note about item number ' || i FROM n",
        (rows,),
    )
    connection.execute("INSERT INTO line SELECT id, id FROM item")
    connection.commit()
    connection.close()
