"""The models of a schema, as a person would write them."""

import keyword

from drawn import ODD, Column, Index, Key, Rule, Schema, Table


def source(schema: Schema) -> str:
    """The models, as a person would write them."""
    parts = [_table(schema, table) for table in schema.tables]
    if any(table.mixin for table in schema.tables):
        mixin = "class Stamped:\n    created = mapped_column(sa.DateTime(), nullable=False, "
        parts.insert(0, mixin + "server_default=sa.func.now())\n")
    for name in schema.sequences:
        parts.insert(0, f"sa.Sequence({name!r}, metadata=db.metadata)\n")
    return "\n\n".join(parts)


def _table(schema: Schema, table: Table) -> str:
    columns = [c for c in table.columns if not (table.mixin and c.name == "created")]
    lines = [_column(schema, table, column) for column in columns]
    rest = [_key(schema, table, key) for key in table.keys if len(key.columns) > 1]
    rest += [_rule(schema, table, rule) for rule in table.rules]
    rest += [_index(schema, table, index) for index in table.indexes]
    options = {}
    if table.autoincrement:
        options["sqlite_autoincrement"] = True
    if table.comment:
        options["comment"] = table.comment
    if table.style == "table":
        said = [f"sa.Column({text})" for _, text in lines] + rest
        said += [f"{key}={value!r}" for key, value in options.items()]
        inside = "".join(f"    {part},\n" for part in said)
        return f"t{table.uid} = db.Table(\n    {table.name!r},\n    db.metadata,\n{inside})\n"
    bases = "Stamped, db.Model" if table.mixin else "db.Model"
    text = f"class T{table.uid}({bases}):\n    __tablename__ = {table.name!r}\n"
    text += "".join(f"    {name} = mapped_column({said})\n" for name, said in lines)
    if rest or options:
        inside = "".join(f"        {part},\n" for part in rest)
        inside += f"        {options!r},\n" if options else ""
        text += f"    __table_args__ = (\n{inside}    )\n"
    return text


def _attribute(column: Column) -> str:
    name = column.name
    taken = keyword.iskeyword(name) or name in ("metadata", "registry", "query", "query_class")
    return f"c{column.uid}" if taken or not name.isidentifier() else name


def _column(schema: Schema, table: Table, column: Column) -> tuple[str, str]:
    said = [repr(column.name), column.kind.code(column.uid)]
    key = next((key for key in table.keys if key.columns == [column.uid]), None)
    if key is not None:
        target = schema.table(key.table)
        name = target.column(target.primary[0]).name
        said.append(f"sa.ForeignKey({f'{target.name}.{name}'!r}{_actions(key)})")
    if column.identity:
        said.append("sa.Identity()")
    if column.computed:
        stored = f", persisted={column.stored}"
        said.append(f"sa.Computed({_sql(schema, table, column.computed)!r}{stored})")
    if column.uid in table.primary:
        said.append("primary_key=True")
    elif not column.computed:
        said.append(f"nullable={column.nullable}")
    for name in ("unique", "index"):
        if getattr(column, name):
            said.append(f"{name}=True")
    if column.default is not None:
        said.append(f"server_default={column.default}")
    if column.scalar is not None:
        said.append(f"default={column.scalar}")
    if column.comment:
        said.append(f"comment={column.comment!r}")
    return _attribute(column), ", ".join(said)


def _actions(key: Key) -> str:
    said = {"ondelete": key.ondelete, "onupdate": key.onupdate}
    if key.deferrable:
        said |= {"deferrable": True, "initially": "DEFERRED"}
    if key.later:
        said |= {"use_alter": True, "name": f"fk_later_{key.uid}"}
    return "".join(f", {name}={value!r}" for name, value in said.items() if value)


def _key(schema: Schema, table: Table, key: Key) -> str:
    target = schema.table(key.table)
    ours = [table.column(uid).name for uid in key.columns]
    theirs = [f"{target.name}.{target.column(uid).name}" for uid in target.primary]
    return f"sa.ForeignKeyConstraint({ours!r}, {theirs!r}{_actions(key)})"


def _rule(schema: Schema, table: Table, rule: Rule) -> str:
    name = f", name={rule.name!r}" if rule.name else ""
    return f"sa.CheckConstraint({_sql(schema, table, rule.sql)!r}{name})"


def _index(schema: Schema, table: Table, index: Index) -> str:
    names = [repr(table.column(uid).name) for uid in index.columns]
    if index.constraint:
        return f"sa.UniqueConstraint({', '.join(names)})"
    if index.expression:
        names = [f"sa.text({_sql(schema, table, index.expression)!r})"]
    said = [repr(index.name), *names]
    if index.unique:
        said.append("unique=True")
    if index.where:
        where = f"sa.text({_sql(schema, table, index.where)!r})"
        said.append(f"{schema.dialect}_where={where}")
    return f"sa.Index({', '.join(said)})"


def _sql(schema: Schema, table: Table, template: str) -> str:
    quote = "`" if schema.dialect == "mysql" else '"'
    names = {f"c{c.uid}": _quoted(c.name, quote) for c in table.columns}
    return template.format(**names)


def _quoted(name: str, quote: str) -> str:
    plain = name.isascii() and name.islower() and name.isidentifier() and name not in ODD
    return name if plain else f"{quote}{name}{quote}"
