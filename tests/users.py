"""Users and roles of an application that nobody generated, for what the library does about accounts."""

from secrets import token_hex

from flask import Flask
from flask_security.core import RoleMixin, UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

PATIENCE = 20  # seconds
SETTINGS = {
    "SECRET_KEY": "only for tests",
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "SECURITY_PASSWORD_HASH": "plaintext",
    "SECURITY_PASSWORD_SALT": "only for tests",
    "SQLALCHEMY_DATABASE_URI": "sqlite://",
    "TESTING": True,
    "WTF_CSRF_ENABLED": False,
}


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
user_role = Table(
    "user_role",
    db.Model.metadata,
    Column("user_id", ForeignKey("user.id"), primary_key=True),
    Column("role_id", ForeignKey("role.id"), primary_key=True),
)


class Role(db.Model, RoleMixin):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class User(db.Model, UserMixin):
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True, default=token_hex)
    tf_counter: Mapped[int] = mapped_column(default=0)
    roles: Mapped[list[Role]] = relationship(secondary=user_role)


class Country(db.Model):
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Visit(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    country_code: Mapped[str] = mapped_column(ForeignKey("country.code"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    user: Mapped[User | None] = relationship()


def application(**settings):
    """Make an application on an empty database in memory."""
    app = Flask("theirs")
    app.config |= {**SETTINGS, **settings}
    db.init_app(app)
    with app.app_context():
        db.create_all()
    return app
