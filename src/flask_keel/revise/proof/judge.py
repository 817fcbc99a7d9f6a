"""Do the rows live? What a migration says that it does to them is a note, all else is a failure."""

from ..facts import Schema
from ..rows.kinds import kind_of
from . import verdict
from .survival import Comparison, Outcome, Row, truncated
from .verdict import Failed

Columns = dict[tuple[str, str], tuple[str, str]]


class Judge:
    """Compares rows before and after one step.

    :param agreed: what the migration's comments say may change, with the reason
    """

    def __init__(self, connection, before: Schema, after: Schema, agreed: dict[str, str]) -> None:
        self.connection, self.before, self.after = connection, before, after
        self.agreed = agreed
        self.notes: list[str] = []
        self.changes: list[str] = []

    def outcomes(
        self,
        old: dict[str, list[Row]],
        new: dict[str, list[Row]],
        tables: dict[str, str],
        columns: Columns,
        rewritten: set[tuple[str, str]],
        through: set[tuple[str, str]] = frozenset(),
    ) -> dict[str, Outcome]:
        """Return what became of the rows of each table that is still there.

        :param through: columns that had another type in between
        """
        found = {}
        for label, rows in old.items():
            if not rows or label not in tables:
                continue
            own = {name for table, name in rewritten if table == label}
            other = {name for table, name in through if table == label}
            before, after = self.before.tables[label], self.after.tables[tables[label]]
            kept = {
                name: columns[label, name][1] for name in before.columns if (label, name) in columns
            }
            names = {
                name: now
                for name, now in kept.items()
                # what is generated on both sides follows from the others, by another rule perhaps
                if not (before.columns[name].generated and after.columns[now].generated)
            }
            comparison = Comparison(self.connection, before, after, names, own, other)
            found[label] = comparison.outcome(rows, new[tables[label]])
        return found

    def judge(
        self,
        step: str,
        outcomes: dict[str, Outcome],
        emptied: dict[str, str],
        rewritten: set[tuple[str, str]],
    ) -> None:
        """Note what the migration says that it does.

        :param emptied: the tables with a DELETE of the migration's own, and its text
        :param rewritten: the columns with an UPDATE of the migration's own
        :raises Failed: for rows that are gone and values that changed without a word
        """
        for label, outcome in outcomes.items():
            if outcome.gone:
                self._gone(step, label, outcome, self._delete(label, emptied))
            for name, pairs in outcome.changed.items():
                self._changed(step, label, name, pairs, outcome, (label, name) in rewritten)

    def _gone(self, step: str, label: str, outcome: Outcome, sql: str | None) -> None:
        if label in self.agreed:
            self._agree(label, label)
        elif sql is None:
            raise Failed(step, f"{outcome.gone} of {outcome.rows} rows of {label} are gone", label)
        elif outcome.gone == outcome.rows:
            raise Failed(step, f"every row of {label} is deleted by {sql}", label)
        else:
            words = {"count": outcome.gone, "rows": outcome.rows, "table": label, "sql": sql}
            self._note(verdict.DELETES.format(**words))

    def _changed(
        self, step: str, label: str, name: str, pairs: list, outcome: Outcome, own: bool
    ) -> None:
        at = f"{label}.{name}"
        agreed = at if at in self.agreed else label
        old, new = pairs[0]
        if agreed in self.agreed:
            self._agree(at, agreed)
        elif own and self._is_text(label, name) and truncated(pairs):
            raise Failed(step, f"{at} is cut off: {_short(old)} becomes {_short(new)}", at)
        elif own:
            self._change(at, pairs, outcome)
        else:
            raise Failed(step, f"{at} held {_short(old)} and now holds {_short(new)}", at)

    def _is_text(self, label: str, name: str) -> bool:
        return kind_of(self.before.tables[label].columns[name].type, "").family == "text"

    def _change(self, at: str, pairs: list, outcome: Outcome) -> None:
        every = len(pairs) == outcome.rows
        rows = "every row" if every else f"{len(pairs)} of {outcome.rows} rows"
        words = {"column": at, "rows": rows, "old": _short(pairs[0][0]), "new": _short(pairs[0][1])}
        same = len({repr(new) for _, new in pairs}) == 1 < len(pairs)
        note = (verdict.SETS if same else verdict.CHANGES).format(**words)
        self.changes.append(note)
        self._note(note)

    def _delete(self, label: str, emptied: dict[str, str]) -> str | None:
        """The DELETE that took rows from the table, or from one that it points to."""
        for table in parents_of(self.before, label):
            if table in emptied:
                return _shortened(emptied[table])
        return None

    def _agree(self, what: str, name: str) -> None:
        self._note(verdict.AGREED.format(column=what, reason=self.agreed[name]))

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def parents_of(schema: Schema, label: str) -> list[str]:
    """Return a table, what it points to, what that points to, and so on: a DELETE may cascade."""
    seen = [label]
    for table in seen:
        if table in schema.tables:
            keys = schema.tables[table].foreign_keys
            seen += [key.parent for key in keys if key.parent not in seen]
    return seen


def _short(value: object) -> str:
    return "NULL" if value is None else _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
