"""Many small questions are one message to the server, and are answered as each alone would be."""

import databases
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from flask_keel import pipeline


@pytest.fixture
def connection(server):
    with (
        databases.fresh(server) as url,
        create_engine(databases.driven(url)).connect() as connection,
    ):
        yield connection


def test_answers_come_in_order_and_commands_give_none(connection):
    asked = [
        "SELECT 1 WHERE 1 = 2" if connection.dialect.name == "postgresql" else "SELECT 1 LIMIT 0",
        "CREATE TEMPORARY TABLE odd (a INT)  -- a remark; at the end",
        "INSERT INTO odd VALUES (7), (8)",
        "SELECT a, a % 4, ';' FROM odd ORDER BY a",
        "DROP TABLE odd",
        "SELECT 2",
    ]
    assert pipeline.ask(connection, asked) == [[], [(7, 3, ";"), (8, 0, ";")], [(2,)]]


def test_more_of_them_than_a_message_takes_are_all_answered(connection):
    words = [str(number) * 200 for number in range(1000)]
    asked = [f"SELECT '{word}'" for word in words]
    assert pipeline.ask(connection, asked) == [[(word,)] for word in words]


def test_an_error_of_one_is_said_as_of_one_alone(connection):
    with pytest.raises(DBAPIError) as raised:
        pipeline.ask(connection, ["SELECT 1", "SELECT nothing_of_this_name", "SELECT 2"])
    assert "nothing_of_this_name" in str(raised.value.orig)
    connection.rollback()
    assert pipeline.ask(connection, ["SELECT 1", "SELECT 2"]) == [[(1,)], [(2,)]]


def test_commands_before_a_wrong_one_have_run_and_none_after_it(mariadb_server):
    with databases.fresh(mariadb_server) as url, databases.engine(url).connect() as connection:
        made = [f"CREATE TABLE t{number} (a INT)" for number in range(4)]
        with pytest.raises(DBAPIError, match="t1"):
            pipeline.run(connection, [*made[:2], made[1], *made[2:]])
        assert pipeline.ask(connection, ["SHOW TABLES"]) == [[("t0",), ("t1",)]]
