"""MySQL's scratch is made again as the server itself would have it, the indexes of foreign keys included."""

import databases
import pytest
import revising
from revising import KEY

from flask_keel.scratch.mysql_copy import Copy

PARENT = "CREATE TABLE p (id INT PRIMARY KEY, a INT, b INT, UNIQUE KEY ab (a, b))"
TEN = ["x", *(f"x{number}" for number in range(9))]
# each is a child of the parent, and what is done to it afterwards
SHAPES = {
    "a name of its own beside one that was said": [
        "CREATE TABLE c (x INT, y INT, KEY yx (y, x), FOREIGN KEY (x) REFERENCES p (id), "
        "CONSTRAINT fk FOREIGN KEY (y) REFERENCES p (id))"
    ],
    "ten names of its own": [
        f"CREATE TABLE c ({', '.join(f'{column} INT' for column in TEN)}, "
        + ", ".join(f"FOREIGN KEY ({column}) REFERENCES p (id)" for column in TEN)
        + ")"
    ],
    "an index of its own": [
        "CREATE TABLE c (x INT, CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "a name of its own": ["CREATE TABLE c (x INT, FOREIGN KEY (x) REFERENCES p (id))"],
    "two columns": [
        "CREATE TABLE c (x INT, y INT, CONSTRAINT fk FOREIGN KEY (x, y) REFERENCES p (a, b))"
    ],
    "an index that came later": [
        "CREATE TABLE c (x INT, y INT, CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))",
        "CREATE INDEX iy ON c (y)",
    ],
    "an index that took over": [
        "CREATE TABLE c (x INT, CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))",
        "CREATE INDEX ix ON c (x)",
    ],
    "a unique by the name that InnoDB would give": [
        "CREATE TABLE c (x INT UNIQUE, FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "two keys of one column": [
        "CREATE TABLE c (x INT, CONSTRAINT f1 FOREIGN KEY (x) REFERENCES p (id), "
        "CONSTRAINT f2 FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "a name of the server's own that was said": [
        "CREATE TABLE c (x INT, FOREIGN KEY (x) REFERENCES p (id))",
        "ALTER TABLE c DROP FOREIGN KEY c_ibfk_1",
        "ALTER TABLE c DROP INDEX x",
        "ALTER TABLE c ADD CONSTRAINT c_ibfk_1 FOREIGN KEY (x) REFERENCES p (id)",
    ],
    "such a name of one key of two": [
        "CREATE TABLE c (x INT, y INT, FOREIGN KEY (y) REFERENCES p (id))",
        "ALTER TABLE c ADD CONSTRAINT c_ibfk_2 FOREIGN KEY (x) REFERENCES p (id)",
    ],
    "odd names": [
        "CREATE TABLE c (`x, y` INT, CONSTRAINT `it's ``5``` FOREIGN KEY (`x, y`) REFERENCES p (id))"
    ],
    "an index beside it": [
        "CREATE TABLE c (x INT, y INT, KEY iy (y), CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "an index for it": [
        "CREATE TABLE c (x INT, KEY ix (x), CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "a longer index": [
        "CREATE TABLE c (x INT, y INT, KEY xy (x, y), CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "an index in another order": [
        "CREATE TABLE c (x INT, y INT, KEY yx (y, x), CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "the primary key": [
        "CREATE TABLE c (x INT PRIMARY KEY, CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "a unique": ["CREATE TABLE c (x INT UNIQUE, CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"],
    "a unique by the key's name": [
        "CREATE TABLE c (x INT, UNIQUE KEY fk (x), CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id))"
    ],
    "a key that was added": [
        "CREATE TABLE c (x INT)",
        "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (x) REFERENCES p (id)",
    ],
    "such a name of the other key": [
        "CREATE TABLE c (x INT, y INT, FOREIGN KEY (x) REFERENCES p (id))",
        "ALTER TABLE c ADD CONSTRAINT c_ibfk_2 FOREIGN KEY (y) REFERENCES p (id)",
    ],
}


def text(connection):
    shown = connection.exec_driver_sql("SHOW CREATE TABLE c").one()[1]
    return sorted(line.strip().rstrip(",") for line in shown.splitlines())


@pytest.mark.some(12)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_made_again_is_what_the_server_has(mariadb_server, shape):
    with databases.fresh(mariadb_server) as url, databases.engine(url).connect() as connection:
        for sql in (PARENT, *SHAPES[shape]):
            connection.exec_driver_sql(sql)
        column = "`x, y`" if shape == "odd names" else "x"
        after = [f"CREATE INDEX probe ON c ({column}, probed)", "DROP INDEX probe ON c"]
        connection.exec_driver_sql("ALTER TABLE c ADD COLUMN probed INT")
        server = text(connection)
        copy = Copy(connection)
        answers = []
        for _ in range(2):
            said = [server]
            for sql in after:
                try:
                    connection.exec_driver_sql(sql)
                    said.append(text(connection))
                except Exception as error:
                    said.append(error.orig.args[0])
            answers.append(said)
            connection.exec_driver_sql("DROP TABLE c")
            copy.restore()
            assert text(connection) == server
        assert answers[0] == answers[1]


COUNTED = "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT) {}"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "AUTO_INCREMENT=40",
        pytest.param("ENGINE=Aria", marks=databases.mariadb_alone),
        "ENGINE=MyISAM",
    ],
)
def test_rows_that_came_leave_neither_themselves_nor_their_numbers(mariadb_server, options):
    with databases.fresh(mariadb_server) as url, databases.engine(url).connect() as connection:
        connection.exec_driver_sql(COUNTED.format(options))
        connection.exec_driver_sql("INSERT INTO t (n) VALUES (1), (2)")
        copy = Copy(connection)
        connection.exec_driver_sql("INSERT INTO t VALUES (1000, 3)")
        copy.restore()
        assert Copy(connection).is_like(copy)
        connection.exec_driver_sql("INSERT INTO t (n) VALUES (4)")
        first = 40 if "40" in options else 1
        found = connection.exec_driver_sql("SELECT id, n FROM t ORDER BY id").all()
        assert found == [(first, 1), (first + 1, 2), (first + 2, 4)]


ITEM = KEY + (
    'kind_id: Mapped[int] = mapped_column(sa.ForeignKey("kind.id"){more})\n'
    'owner_id: Mapped[int | None] = mapped_column(sa.ForeignKey("kind.id"))\n'
)


def test_a_foreign_key_gets_an_index_and_loses_it(any_database, url):
    project = any_database
    project.model("kind", KEY)
    project.model("item", ITEM.format(more=""))
    revising.applied(project)
    revising.execute(project, "INSERT INTO kind VALUES (1)", "INSERT INTO item VALUES (1, 1, NULL)")
    on_mysql = (
        "",
        ", unique=True",
        "",
    )  # where an index of the server's own comes and goes with ours
    others = (", unique=True", "")
    for more in (", index=True", *(on_mysql if "mysql" in url else others)):
        project.model("item", ITEM.format(more=more))
        revising.applied(project)
        revising.assert_nothing_left(project)
        revising.down_and_up(project)
        assert revising.rows(project, "SELECT id, kind_id, owner_id FROM item") == [(1, 1, None)]
