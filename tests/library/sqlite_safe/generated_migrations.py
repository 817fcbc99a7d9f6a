"""Makes migrations that any database could run, and knows the schema that they lead to."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from .migrating import migration


@dataclass
class Table:
    """What one table is made of, by name."""

    name: str
    columns: dict[str, bool] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    unique: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, tuple[str, str]] = field(default_factory=dict)

    def about(self, column):
        """How to drop what is about a column."""
        for name in [name for name, own in self.indexes.items() if own == column]:
            del self.indexes[name]
            yield f"op.drop_index('{name}', table_name='{self.name}')"
        for kind, held in (("unique", self.unique), ("foreignkey", self.foreign)):
            for name in [n for n, own in held.items() if column in (own, own[0])]:
                del held[name]
                yield f"op.drop_constraint(op.f('{name}'), '{self.name}', type_='{kind}')"


class Writer:
    """Writes operations one after the other, each of them possible after those before it."""

    def __init__(self, draw):
        self.draw = draw
        self.tables = [Table(name, dict.fromkeys("abc", True)) for name in ("one", "two")]
        self.lines = []
        self.count = 0

    def fresh(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def column(self, table):
        return self.draw(st.sampled_from(sorted(table.columns)))

    def add_column(self, table, *, flag=""):
        name = self.fresh("n")
        table.columns[name] = True
        target = None
        if self.draw(st.booleans()):
            target = self.draw(st.sampled_from(self.tables)).name
            table.foreign[f"fk_{table.name}_{name}_{target}"] = (name, target)
            flag += f", sa.ForeignKey('{target}.id')"
        if self.draw(st.booleans()):
            table.unique[f"uq_{table.name}_{name}"] = name
            flag += ", unique=True"
        self.lines.append(f"op.add_column('{table.name}', sa.Column('{name}', sa.Integer(){flag}))")

    def drop_column(self, table):
        if len(table.columns) < 2:
            return
        name = self.column(table)
        del table.columns[name]
        drops = list(table.about(name))
        early = self.draw(st.lists(st.sampled_from(drops), unique=True)) if drops else []
        late = [drop for drop in drops if drop not in early]
        self.lines += [*early, f"op.drop_column('{table.name}', '{name}')", *late]

    def alter_column(self, table):
        name = self.column(table)
        table.columns[name] = not table.columns[name]
        nullable = f"existing_type=sa.Integer(), nullable={table.columns[name]}"
        self.lines.append(f"op.alter_column('{table.name}', '{name}', {nullable})")

    def rename(self, table):
        name, new = self.column(table), self.fresh("r")
        nullable = table.columns.pop(name)
        table.columns[new] = self.draw(st.sampled_from([nullable, not nullable]))
        for held in (table.indexes, table.unique):
            held |= {key: new for key, own in held.items() if own == name}
        table.foreign |= {k: (new, t) for k, (own, t) in table.foreign.items() if own == name}
        change = f"nullable={table.columns[new]}, " if table.columns[new] != nullable else ""
        rest = f"{change}new_column_name='{new}', existing_type=sa.Integer()"
        self.lines.append(f"op.alter_column('{table.name}', '{name}', {rest})")

    def create_index(self, table):
        name, column = self.fresh("ix"), self.column(table)
        table.indexes[name] = column
        self.lines.append(f"op.create_index('{name}', '{table.name}', ['{column}'])")

    def create_unique(self, table):
        column = self.column(table)
        name = f"uq_{table.name}_{column}"
        # SQLite tells of one only where two are about the same column
        if name in table.unique or column in table.unique.values():
            return
        table.unique[name] = column
        self.lines.append(f"op.create_unique_constraint(None, '{table.name}', ['{column}'])")

    def create_foreign_key(self, table):
        column, target = self.column(table), self.draw(st.sampled_from(self.tables)).name
        name = f"fk_{table.name}_{column}_{target}"
        if name in table.foreign or (column, target) in table.foreign.values():
            return
        table.foreign[name] = (column, target)
        rest = f"'{target}', ['{column}'], ['id']"
        self.lines.append(f"op.create_foreign_key(None, '{table.name}', {rest})")

    def stranger(self, table):
        words = ["", "# a comment", "op.execute('SELECT 1')", "if True:\n    pass  # é", "x = 1"]
        self.lines.append(self.draw(st.sampled_from(words)))


KINDS = [
    name for name, made in vars(Writer).items() if callable(made) and made.__code__.co_argcount == 2
]


@st.composite
def migrations(draw):
    """A migration's text and the tables as its upgrade leaves them."""
    writer = Writer(draw)
    known = [kind for kind in KINDS if kind not in ("__init__", "fresh", "column")]
    for kind in draw(st.lists(st.sampled_from(known), min_size=1, max_size=9)):
        getattr(writer, kind)(draw(st.sampled_from(writer.tables)))
    lines = [
        line + ("  # why" if line.startswith("op.") and draw(st.booleans()) else "")
        for line in writer.lines
    ]
    return migration("\n".join([*lines, "pass"])), writer.tables


BEFORE = "".join(
    f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER);"
    for name in ("one", "two")
)
