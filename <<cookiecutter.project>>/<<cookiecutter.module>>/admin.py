"""The admin, at /admin, for the role admin alone: each model is listed, searched and edited."""

import logging
from typing import Any

from flask import Flask, abort, flash, g, has_request_context, request
from flask_admin import Admin, AdminIndexView, BaseView
from flask_admin.actions import action
from flask_admin.contrib.sqla import ModelView
from flask_admin.model.typefmt import BASE_FORMATTERS
from flask_security import auth_required, current_user, naive_utcnow
from sqlalchemy import String, event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session
from wtforms import Form, ValidationError

from .extensions import db
from .models.user import User

SECRET = {"password", "tf_totp_secret", "fs_uniquifier"}


class Guarded(BaseView):
    """A page for the role admin alone: others are asked who they are, or refused."""

    inaccessible_callback = auth_required("session")(BaseView.inaccessible_callback)

    def is_accessible(self) -> bool:
        return current_user.has_role("admin")


class Index(Guarded, AdminIndexView):
    """The list of the models."""


class Rows(Guarded, ModelView):
    """The rows of a model. A page of your own inherits from it, and stands in PAGES."""

    column_type_formatters = BASE_FORMATTERS | {bool: lambda _, yes, __: "yes" if yes else "no"}

    column_searchable_list: Any = None
    form_excluded_columns: Any = None

    def __init__(self, model: type) -> None:
        """Search each text; leave out of a form the rows that belong to this one."""
        mapper: Mapper[Any] = inspect(model)
        texts = [a.key for a in mapper.column_attrs if isinstance(a.columns[0].type, String)]
        many = [r.key for r in mapper.relationships if r.uselist and r.secondary is None]
        if self.column_searchable_list is None:
            self.column_searchable_list = texts
        if self.form_excluded_columns is None:
            self.form_excluded_columns = many
        path = str(mapper.local_table).replace(".", "_")
        super().__init__(model, db, endpoint=f"admin_{path}", url=path)

    def get_list(self, page: int | None, *arguments: Any, **named: Any) -> Any:
        return super().get_list(min(max(page or 0, 0), 1_000_000), *arguments, **named)

    def get_one(self, id: str) -> Any:
        """Return the row of this key, or say that there is none."""
        try:
            return super().get_one(id) or abort(404)
        except SQLAlchemyError:
            db.session.rollback()
            abort(404)

    def on_model_change(self, form: Form, model: Any, is_created: bool) -> None:
        """Let no admin lock themselves out."""
        if not self.is_accessible():
            raise ValidationError("You cannot take the admin from yourself.")

    def on_model_delete(self, model: Any) -> None:
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


class Users(Rows):
    """Accounts. Who was made here asks for a password with "Forgot password?"."""

    column_list = ("email", "name", "active", "confirmed_at", "roles")
    form_columns = ("email", "name", "active", "roles")

    def on_model_change(self, form: Form, model: User, is_created: bool) -> None:
        """Confirm whom an admin has made."""
        super().on_model_change(form, model, is_created)
        model.confirmed_at = naive_utcnow() if is_created else model.confirmed_at

    @action("deactivate", "Deactivate", "Let nobody in with the selected accounts?")
    def deactivate(self, ids: tuple[str, ...]) -> None:
        """Deactivate accounts, but for one's own."""
        for user in [self.get_one(id) for id in ids]:
            user.active = user == current_user
        db.session.commit()


PAGES: dict[type, type[Rows]] = {User: Users}


def init_app(app: Flask) -> None:
    """Add /admin, with a page for each model."""
    admin = Admin(app, name="Admin", index_view=Index())
    for mapper in sorted(db.Model.registry.mappers, key=str):
        admin.add_view(PAGES.get(mapper.class_, Rows)(mapper.class_))


@event.listens_for(db.session, "after_flush")
def note(session: Session, _: object) -> None:
    """Note what a page of the admin changes, in whichever row."""
    if not has_request_context() or not (request.endpoint or "").startswith("admin_"):
        return
    changes = {"created": session.new, "changed": session.dirty, "deleted": session.deleted}
    for what, rows in changes.items():
        for row in rows:
            attrs = [(a.key, a.history) for a in inspect(row).attrs if a.key not in SECRET]
            said = ", ".join(f"{k}: {h.deleted} -> {h.added}" for k, h in attrs if h.has_changes())
            if said or what == "deleted":
                which = f"{type(row).__name__} {inspect(row).mapper.primary_key_from_instance(row)}"
                g.setdefault("changes", []).append(f"{current_user.email} {what} {which} {said}")


@event.listens_for(db.session, "after_commit")
def log(_: Session) -> None:
    """Write a line for each change that was committed."""
    for line in g.pop("changes", ()):
        logging.getLogger("audit").info(line)


@event.listens_for(db.session, "after_rollback")
def forget(_: Session) -> None:
    """Write nothing of what was undone."""
    g.pop("changes", None)
