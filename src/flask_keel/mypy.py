"""A plugin for mypy, which cannot follow ``class Post(db.Model)``: ``db`` is an object, no class.

Say ``plugins = ["flask_keel.mypy"]`` under ``[tool.mypy]``. To mypy ``db = SQLAlchemy(...)`` is then a
class of its own with the class ``Model`` in it (https://github.com/python/mypy/issues/8603), and all
else that ``db`` has comes from its metaclass, which is Flask-SQLAlchemy's class.
"""

from collections.abc import Callable

from mypy.mro import calculate_mro
from mypy.nodes import GDEF, MDEF, CallExpr, RefExpr, SymbolNode, SymbolTableNode, TypeInfo
from mypy.plugin import DynamicClassDefContext, Plugin, SemanticAnalyzerPluginInterface
from mypy.types import AnyType, Instance, TypeOfAny

DATABASE = "flask_sqlalchemy.extension.SQLAlchemy"
MODEL = "flask_sqlalchemy.model.Model"
DECLARATIVE = "sqlalchemy.orm.decl_api.DeclarativeBase"


class DatabaseModels(Plugin):
    """Makes ``db.Model`` a class that a model can inherit from."""

    def get_dynamic_class_hook(
        self, fullname: str
    ) -> Callable[[DynamicClassDefContext], None] | None:
        """Take each call of Flask-SQLAlchemy's class, or of one that inherits from it."""
        return _make if _is_database(self.lookup_fully_qualified(fullname)) else None


def _is_database(found: SymbolTableNode | None) -> bool:
    return found is not None and isinstance(found.node, TypeInfo) and found.node.has_base(DATABASE)


def _make(context: DynamicClassDefContext) -> None:
    api, called = context.api, context.call.callee
    assert isinstance(called, RefExpr) and isinstance(called.node, TypeInfo)
    database = api.basic_new_typeinfo(context.name, api.named_type("builtins.object"), -1)
    database.metaclass_type = _instance(called.node)
    model = SymbolTableNode(MDEF, _model(api, database, context.call), plugin_generated=True)
    database.names["Model"] = model
    api.add_symbol_table_node(context.name, SymbolTableNode(GDEF, database, plugin_generated=True))


def _model(api: SemanticAnalyzerPluginInterface, database: TypeInfo, call: CallExpr) -> TypeInfo:
    """Return ``db.Model`` as Flask-SQLAlchemy makes it: of the class that it is given, and of its own."""
    bases = [
        _given(call),
        *(api.lookup_fully_qualified(name).node for name in (DECLARATIVE, MODEL)),
    ]
    wanted = [base for base in bases if isinstance(base, TypeInfo)]
    model = api.basic_new_typeinfo("Model", api.named_type("builtins.object"), -1)
    model._fullname = model.defn.fullname = f"{database.fullname}.Model"
    model.bases = [
        _instance(base)
        for base in wanted
        if not any(other is not base and other.has_base(base.fullname) for other in wanted)
    ]
    model.mro = []
    calculate_mro(model)
    return model


def _given(call: CallExpr) -> SymbolNode | None:
    for name, argument in zip(call.arg_names, call.args, strict=True):
        if name == "model_class" and isinstance(argument, RefExpr):
            return argument.node
    return None


def _instance(info: TypeInfo) -> Instance:
    return Instance(info, [AnyType(TypeOfAny.special_form)] * len(info.defn.type_vars))


def plugin(version: str) -> type[Plugin]:
    """Return the plugin, as mypy asks for it.

    :param version: mypy's
    """
    return DatabaseModels
