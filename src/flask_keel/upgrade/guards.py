"""Guards in the SQL printed for a server: it stops before it changes a database that is elsewhere.

Each is one piece of SQL for the server's own client. A revision that cannot be undone as a whole
leaves a mark on the version table while it runs, so that it is not run a second time from its head.
"""

from typing import NamedTuple

from sqlalchemy import Dialect

TABLE = "alembic_version"
BEGUN = "begun: "
LONGEST_NAME = 64  # https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html
STOPS = {
    # psql goes on after an error unless it is told
    "postgresql": "\\set ON_ERROR_STOP on",
    "mysql": "-- The client stops at its first error and names a line: what stands above that line here "
    "has been\n-- done and stays, what stands below has not. Finish or undo that revision by hand.",
}


class Guards(NamedTuple):
    """The guards of one script.

    :param dialect: tells PostgreSQL, MariaDB and MySQL apart
    :param again: the command that prints the SQL anew
    """

    dialect: Dialect
    again: str

    @property
    def transactional(self) -> bool:
        return self.dialect.name == "postgresql"

    def at(self, revisions: set[str], begun: str | None = None) -> str:
        """Return the guard for the revisions at which the database has to be.

        :param begun: the mark that it has to have, for the second part of a revision
        """
        live = ", ".join(sorted(revisions))
        mark = f"{BEGUN}{begun}" if begun else None
        if self.transactional:
            return self._postgresql(live, mark)
        return self._mariadb(live) if getattr(self.dialect, "is_mariadb", False) else _mysql(live)

    def mark(self, begun: str | None) -> str:
        """Return the statement that marks a revision as begun, or takes the mark away."""
        if self.transactional:
            said = _text(f"{BEGUN}{begun}") if begun else "NULL"
            return f"COMMENT ON TABLE {TABLE} IS {said};"
        return f"ALTER TABLE {TABLE} COMMENT = {_text(f'{BEGUN}{begun}' if begun else '')};"

    def _elsewhere(self, live: str) -> tuple[str, str]:
        return (
            f"This SQL is for a database at {live or 'the base'}, and this one is at ",
            f" (run twice?): print it anew from this database ({self.again}).",
        )

    def _stopped(self) -> tuple[str, str]:
        return (
            "On this database printed SQL stopped in the middle of a revision (",
            "): finish or undo that by hand, then type "
            f"{self.mark(None)} and print the SQL anew ({self.again}).",
        )

    def _postgresql(self, live: str, mark: str | None) -> str:
        elsewhere = _text("%".join(part.replace("%", "%%") for part in self._elsewhere(live)))
        stopped = _text("%".join(part.replace("%", "%%") for part in self._stopped()))
        wanted = _text(mark) if mark else "NULL"
        # the lock has a second run of this script wait, and then see what the first has done
        return f"""\
DO $toolkit$
DECLARE
  live text;
  mark text;
BEGIN
  IF to_regclass('{TABLE}') IS NOT NULL THEN
    LOCK TABLE {TABLE} IN SHARE ROW EXCLUSIVE MODE;
    SELECT string_agg(version_num, ', ' ORDER BY version_num COLLATE "C") INTO live FROM {TABLE};
    mark := (SELECT said FROM obj_description(to_regclass('{TABLE}'), 'pg_class') AS said
      WHERE said LIKE '{BEGUN}%');
  END IF;
  IF live IS DISTINCT FROM {_text(live) if live else "NULL"} THEN
    RAISE EXCEPTION {elsewhere}, coalesce(live, 'the base');
  END IF;
  IF mark IS DISTINCT FROM {wanted} THEN
    RAISE EXCEPTION {stopped}, coalesce(mark, 'not begun');
  END IF;
END $toolkit$;"""

    def _mariadb(self, live: str) -> str:
        before, after = map(_text, self._elsewhere(live))
        begun, undo = map(_text, self._stopped())
        return f"""\
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE live, mark, said TEXT DEFAULT NULL;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42S02' BEGIN END;
  SELECT GROUP_CONCAT(version_num ORDER BY CAST(version_num AS BINARY) SEPARATOR ', ')
    INTO live FROM {TABLE};
  SET mark = (SELECT table_comment FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = '{TABLE}' AND table_comment LIKE '{BEGUN}%');
  IF NOT live <=> {_text(live) if live else "NULL"} THEN
    SET said = CONCAT({before}, COALESCE(live, 'the base'), {after});
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = said;
  END IF;
  IF mark IS NOT NULL THEN
    SET said = CONCAT({begun}, mark, {undo});
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = said;
  END IF;
END//
DELIMITER ;"""


def _mysql(live: str) -> str:
    """MySQL raises nothing outside of a routine: what it cannot find has the sentence for a name."""
    elsewhere = f"This SQL is for a database at {live or 'the base'}: print it anew"
    stopped = "Printed SQL stopped in the middle: see the comment of " + TABLE
    missing = [_text(f"SELECT 1 FROM `{said[:LONGEST_NAME]}`") for said in (elsewhere, stopped)]
    return f"""\
SET @live = (SELECT GROUP_CONCAT(version_num ORDER BY CAST(version_num AS BINARY) SEPARATOR ', ')
  FROM {TABLE});
SET @mark = (SELECT table_comment FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_name = '{TABLE}' AND table_comment LIKE '{BEGUN}%');
SET @guard = IF(NOT @live <=> {_text(live) if live else "NULL"}, {missing[0]},
  IF(@mark IS NOT NULL, {missing[1]}, 'DO 0'));
PREPARE toolkit_guard FROM @guard;
EXECUTE toolkit_guard;
DEALLOCATE PREPARE toolkit_guard;"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
