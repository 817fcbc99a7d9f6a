"""Accounts: login and what belongs to it (Flask-Security), its rate limits, and its mail."""

from contextlib import suppress
from hashlib import sha256
from secrets import token_hex
from threading import Thread
from typing import Any

from flask import Flask, abort, copy_current_request_context, current_app, request, session
from flask_keel import settings
from flask_limiter import Limit, Limiter
from flask_limiter.util import get_remote_address
from flask_mailman import Mail
from flask_security import (
    MailUtil,
    RegisterFormV2,
    Security,
    SQLAlchemyUserDatastore,
    Totp,
    password_reset,
    user_authenticated,
)
from limits.errors import ConfigurationError
from passlib.exc import UsedTokenError
from sqlalchemy import update
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from . import users
from .extensions import db
from .models.user import Role, User

DEFAULTS = {  # a settings file may say otherwise
    "RATELIMIT_ACCOUNT": "200 per hour",  # what is posted of an account, from wherever
    "RATELIMIT_DEFAULT": "10 per minute; 100 per hour",  # what an address may post to a page
    "RATELIMIT_HEADERS_ENABLED": True,
    "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,  # while the storage does not answer
    "SECURITY_CHANGEABLE": True,
    "SECURITY_CLI_ROLES_NAME": None,  # users.py has the commands
    "SECURITY_CLI_USERS_NAME": None,
    "SECURITY_CONFIRMABLE": True,
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],  # another SECRET_KEY leaves passwords alone
    "SECURITY_RECOVERABLE": True,
    "SECURITY_REGISTERABLE": True,
    "SECURITY_RETURN_GENERIC_RESPONSES": True,  # nobody is told who has an account
    "SECURITY_TOTP_ISSUER": "<<cookiecutter.project>>",
    "SECURITY_TWO_FACTOR_ENABLED_METHODS": ["authenticator", "email"],
}
NEEDED = {  # in production
    "MAIL_SERVER": "MAIL_URL=smtp+tls://user:password@host:587",
    "RATELIMIT_STORAGE_URI": "redis://host:6379, which all processes share",
    "TRUSTED_HOSTS": "example.com, to which the links in mails go",
}


class RegisterForm(RegisterFormV2):
    """A new account."""

    name = StringField("Name", [DataRequired(), Length(max=80)])


class Store(SQLAlchemyUserDatastore):
    """Where accounts are; nobody logs in by a spelling that only a collation takes for theirs."""

    def find_user(self, case_insensitive: bool = False, **named: Any) -> Any:
        """Return who it is, and for a login, of this address alone: attempts are counted by it."""
        user: Any = super().find_user(case_insensitive, **named)
        if user and "email" in named and request and request.endpoint == "security.login":
            return user if user.email == named["email"].lower() else None
        return user


class Codes(Totp):
    """The codes of the second factor: each lets in once, whichever process it comes to."""

    def set_last_counter(self, user: Any, tmatch: Any) -> None:
        """Note up to which code they are used; UsedTokenError when this one is."""
        unused = update(User).where(User.id == user.id, User.tf_counter < tmatch.counter)
        if not db.session.connection().execute(unused.values(tf_counter=tmatch.counter)).rowcount:
            raise UsedTokenError


class Mailer(MailUtil):
    """Sends mail behind the answer: how long it takes would tell who has an account."""

    def send_mail(self, *arguments: Any, **named: Any) -> None:
        """Send it; what is printed, or kept for a test, is so before the answer."""
        send = copy_current_request_context(super().send_mail)
        thread = Thread(target=send, args=arguments, kwargs=named)
        thread.start()
        if current_app.config["MAIL_BACKEND"] != "smtp":
            thread.join()


def init_app(app: Flask) -> None:
    """Add the pages of the accounts, their limits and commands; ConfigError for a bad setting."""
    for key, value in DEFAULTS.items():
        app.config.setdefault(key, value)
    require(app)
    Mail(app)
    app.before_request(refuse)
    store = Store(db, User, Role)
    theirs = Security(app, store, register_form=RegisterForm, mail_util_cls=Mailer, totp_cls=Codes)
    # sessions, no tokens: one is looked for in JSON, and the page that says "too long" broke on it
    theirs.login_manager.request_loader(lambda _: None)
    storage = app.config.get("RATELIMIT_STORAGE_URI") or "memory://"
    limits = [
        Limit(app.config["RATELIMIT_DEFAULT"], get_remote_address, exempt_when=unlimited),
        Limit(app.config["RATELIMIT_ACCOUNT"], account, exempt_when=unlimited),
    ]
    try:
        Limiter(get_remote_address, app=app, default_limits=[*limits], storage_uri=storage)
    except (ConfigurationError, ValueError) as error:
        message = f"RATELIMIT_STORAGE_URI is no storage ({error}): give redis://host:6379."
        raise settings.ConfigError(message) from error
    app.cli.add_command(users.group)


def require(app: Flask) -> None:
    """Refuse to serve in production without what the accounts need."""
    at_home = app.config.get("DEVELOPMENT") or app.testing
    if at_home:
        app.config.setdefault("SECURITY_TOTP_SECRETS", {"1": app.config["SECRET_KEY"]})
    for key, example in NEEDED.items() if settings.serving() and not at_home else ():
        if not app.config.get(key):
            raise settings.ConfigError(f"{key} is not set, and accounts need it: give {example}.")
    if app.config.get("SECURITY_TWO_FACTOR") and not app.config.get("SECURITY_TOTP_SECRETS"):
        raise settings.ConfigError('SECURITY_TWO_FACTOR: set SECURITY_TOTP_SECRETS = {"1": "..."}.')


def unlimited() -> bool:
    """Whether a request cannot guess: only the forms of the accounts are limited."""
    return request.method != "POST" or request.blueprint != "security"


def account() -> str:
    """Say whose account a form is about, be there such a one or not."""
    if request.endpoint == "security.two_factor_token_validation":
        return str(session.get("tf_user_id"))
    if not request.form.get("email"):
        return get_remote_address()
    whose = digest(request.form["email"])
    return session.get("known", {}).get(whose, whose)


def digest(email: str) -> str:
    """Make one text of all spellings that are looked up as the same address."""
    with suppress(ValueError):
        email = current_app.extensions["security"].mail_util.normalize(email)
    return sha256(email.lower().encode()).hexdigest()


@password_reset.connect
@user_authenticated.connect
def know(_: Flask, user: User, **_named: Any) -> None:
    """Count by itself what is posted by a browser that was let in: strangers lock nobody out."""
    session["known"] = {digest(user.email): token_hex()}


def refuse() -> None:
    """Refuse what no form means: JSON, an endless password, NUL, which PostgreSQL does not take."""
    ours = request.blueprint == "security"
    if ours and request.is_json:
        abort(415)
    for value in request.values.values():
        if "\0" in value or ours and len(value) > 4096:
            abort(400)
