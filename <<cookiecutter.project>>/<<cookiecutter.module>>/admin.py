"""The admin, at /admin, for the role admin alone: each model is listed, searched and edited."""

from flask import Flask
from flask_admin import Admin
from flask_admin.actions import action
from flask_keel.admin import Index, Rows, audit
from flask_security import current_user, naive_utcnow
from wtforms import Form

from .extensions import db
from .models.user import User


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


PAGES: dict[type, type[Rows]] = {User: Users}  # a page of your own inherits from Rows


def init_app(app: Flask) -> None:
    """Add /admin, with a page for each model."""
    admin = Admin(app, name="Admin", index_view=Index())
    for mapper in sorted(db.Model.registry.mappers, key=str):
        admin.add_view(PAGES.get(mapper.class_, Rows)(mapper.class_, db))
    audit(app, db)  # each change is a line of the log `audit`
