"""Pages of Flask-Admin for the role admin alone, and a line in the log for each change there.

It wants what a project that is generated with ``starter=accounts`` requires, and is imported there alone.
"""

import logging
from collections.abc import Callable, Collection

from flask import Flask, abort, current_app, flash, g, has_request_context, request
from flask_admin.actions import action
from flask_admin.base import AdminIndexView, BaseView
from flask_admin.contrib.sqla.view import ModelView
from flask_admin.model.typefmt import BASE_FORMATTERS
from flask_security import auth_required, current_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session
from wtforms import Form, ValidationError

from .typing import Value

MOST_PAGES = 1_000_000  # the number of a page behind them may be more than a database counts
ENDPOINT = "admin_"  # as the names of the pages begin
# the attributes that Flask-Security keeps secrets in
SECRET = {
    "fs_token_uniquifier",
    "fs_uniquifier",
    "mf_recovery_codes",
    "password",
    "tf_totp_secret",
    "us_totp_secrets",
}


class Guarded(BaseView):
    """A page for the role admin alone: others are asked who they are, or refused."""

    inaccessible_callback = auth_required("session")(BaseView.inaccessible_callback)

    def is_accessible(self) -> bool:
        """Whether who is logged in has the role."""
        return bool(current_user.has_role("admin"))


class Index(Guarded, AdminIndexView):
    """The list of the models."""


class Rows(Guarded, ModelView):
    """The rows of a model: listed, searched, edited, deleted.

    A class of the application inherits from it and says what is otherwise, as Flask-Admin's ``ModelView``
    has it: https://flask-admin.readthedocs.io/en/stable/api/mod_model/
    """

    column_type_formatters = BASE_FORMATTERS | {bool: lambda _, yes, __: "yes" if yes else "no"}

    column_searchable_list: Value = None
    form_excluded_columns: Value = None

    def __init__(self, model: type, db: SQLAlchemy) -> None:
        """Search each text; leave out of a form the rows that belong to this one.

        :param model: the model
        :param db: the ``flask_sqlalchemy.SQLAlchemy`` object
        """
        self.db = db
        mapper: Mapper[Value] = inspect(model)
        texts = [a.key for a in mapper.column_attrs if isinstance(a.columns[0].type, String)]
        many = [r.key for r in mapper.relationships if r.uselist and r.secondary is None]
        if self.column_searchable_list is None:
            self.column_searchable_list = texts
        if self.form_excluded_columns is None:
            self.form_excluded_columns = many
        if self.form_columns is None and (keys := _asked(mapper)):
            every = (*mapper.column_attrs, *mapper.relationships)
            made = {a.key for a in mapper.column_attrs if any(map(_is_key, a.columns))}.difference(
                keys
            )
            shown = [a.key for a in every if a.key not in made.union(self.form_excluded_columns)]
            self.form_columns = [*shown, *(self.form_extra_fields or ())]
        path = str(mapper.local_table).replace(".", "_")
        super().__init__(model, db, endpoint=ENDPOINT + path, url=path)

    def get_list(self, page: int | None, *arguments: Value, **named: Value) -> Value:
        """Return the rows of a page, of none where its number is out of reach."""
        return super().get_list(min(max(page or 0, 0), MOST_PAGES), *arguments, **named)

    def get_one(self, id: str) -> Value:
        """Return the row of this key, or say that there is none."""
        try:
            return super().get_one(id) or abort(404)
        except SQLAlchemyError:
            self.db.session.rollback()
            abort(404)

    def on_model_change(self, form: Form, model: Value, is_created: bool) -> None:
        """Let no admin lock themselves out."""
        if not self.is_accessible():
            raise ValidationError("You cannot take the admin from yourself.")

    def on_model_delete(self, model: Value) -> None:
        """Let no admin delete themselves."""
        if model in (current_user, *current_user.roles):
            raise ValidationError("You cannot delete yourself, nor a role of yours.")

    def handle_view_exception(self, exc: Exception) -> bool:
        """Say in one sentence why nothing was changed."""
        ours = "A value does not fit, is another row's already, or a row needs this one."
        flash(str(exc) if isinstance(exc, ValueError) else ours)
        return isinstance(exc, ValueError | SQLAlchemyError)

    @action("delete", "Delete", "Delete the selected, for good?")
    def action_delete(self, ids: tuple[str, ...]) -> None:
        """Delete rows: none where one is not there, each by itself otherwise."""
        deleted = [self.delete_model(row) for row in [self.get_one(id) for id in ids]]
        flash(f"Deleted: {sum(deleted)}.")


def _is_key(column: Value) -> bool:
    return bool(column.primary_key or column.foreign_keys)


def _asked(mapper: Mapper[Value]) -> list[str]:
    """Return the keys that nothing but a form gives a value: Flask-Admin's leaves each of them out."""
    given: set[object] = {getattr(table, "autoincrement_column", None) for table in mapper.tables}
    for one in mapper.relationships:
        given |= one.local_columns if one.direction.name == "MANYTOONE" else set()
    return [
        a.key
        for a in mapper.column_attrs
        if given.isdisjoint(a.columns)
        and any(_is_key(c) and not (c.default or c.server_default) for c in a.columns)
    ]


def audit(app: Flask, db: SQLAlchemy, secret: Collection[str] = ()) -> None:
    """Write a line of the log ``audit`` for each change that a page of the admin commits.

    It says who changed which row, be it the page's own or another, and each value before and after.

    :param db: the ``flask_sqlalchemy.SQLAlchemy`` object
    :param secret: attributes of models whose values are in no line, besides Flask-Security's own
    """
    app.extensions["audit"] = SECRET.union(secret)
    listeners: dict[str, Callable[..., None]] = {
        "after_flush": _note,
        "after_commit": _log,
        "after_rollback": _forget,
    }
    for name, listener in listeners.items():
        if not event.contains(db.session, name, listener):  # another application has the same db
            event.listen(db.session, name, listener)


def _note(session: Session, _: object) -> None:
    """Note what a page of the admin changes."""
    if not has_request_context() or not (request.endpoint or "").startswith(ENDPOINT):
        return
    secret: set[str] = current_app.extensions.get("audit", set())
    changes = {"created": session.new, "changed": session.dirty, "deleted": session.deleted}
    for what, rows in changes.items() if secret else ():
        for row in rows:
            said = _values(row, secret)
            if said or what == "deleted":
                which = f"{type(row).__name__} {inspect(row).mapper.primary_key_from_instance(row)}"
                g.setdefault("changes", []).append(f"{current_user.email} {what} {which} {said}")


def _values(row: object, secret: set[str]) -> str:
    """Say which values of a row change, each before and after."""
    attrs = [(a.key, a.history) for a in inspect(row).attrs if a.key not in secret]
    return ", ".join(f"{k}: {h.deleted} -> {h.added}" for k, h in attrs if h.has_changes())


def _log(_: Session) -> None:
    """Write a line for each change that was committed."""
    for line in g.pop("changes", ()):
        logging.getLogger("audit").info(line)


def _forget(_: Session) -> None:
    """Write nothing of what was undone."""
    g.pop("changes", None)
