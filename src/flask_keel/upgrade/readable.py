"""A dialect that writes SQL for a reader: values in it, nothing escaped for a driver."""

import copy
import json
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, Dialect, String, literal


def dialect(engine_dialect: Dialect) -> Dialect:
    """Return a copy of an engine's dialect whose SQL the server's own client understands.

    The engine's own, since it knows the server: MariaDB's SQL is not MySQL's.
    """
    ours: Any = copy.copy(engine_dialect)
    ours.paramstyle, ours.positional = "named", False
    ours._type_memos = WeakKeyDictionary()  # holds literals' writers that double percent signs
    ours.identifier_preparer = copy.copy(ours.identifier_preparer)
    ours.identifier_preparer.dialect = ours
    ours.identifier_preparer._double_percents = False
    ours.identifier_preparer._strings = {}  # names that it has quoted, percent signs doubled
    ours.type_compiler_instance = copy.copy(ours.type_compiler_instance)
    ours.type_compiler_instance.dialect = ours
    ours.statement_compiler = _compiler(ours)
    return ours


def _compiler(ours: Any) -> type:
    """Return the dialect's compiler with the literals that SQLAlchemy lacks."""

    class Compiler(ours.statement_compiler):
        def render_literal_bindparam(self, bindparam: Any, **options: Any) -> str:
            if bindparam.value is None and bindparam.type.should_evaluate_none:  # JSON's null
                return self.render_literal_value(None, bindparam.type)
            return super().render_literal_bindparam(bindparam, **options)

        def render_literal_value(self, value: Any, type_: Any) -> str:
            if isinstance(value, bytes | bytearray | memoryview):  # SQLAlchemy would decode it
                digits = bytes(value).hex()
                return rf"'\x{digits}'::bytea" if ours.name == "postgresql" else f"x'{digits}'"
            if isinstance(type_, JSON):
                serialise = ours._json_serializer or json.dumps
                value, type_ = serialise(None if value is JSON.NULL else value), String()
            if type_._isnull:  # sa.column("name") says no type: the value's own will do
                type_ = literal(value).type
            return super().render_literal_value(value, type_)

    return Compiler
