"""What guards the accounts of Flask-Security: an application names each part, and may replace it.

It wants what a project that is generated with ``starter=accounts`` requires, and is imported there alone.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from secrets import token_hex
from threading import Thread

import click
import flask_security
from flask import Flask, abort, copy_current_request_context, current_app, request, session
from flask import cli as flask_cli
from flask_limiter import Limit, Limiter
from flask_limiter.util import get_remote_address
from flask_security import UserMixin, password_reset, user_authenticated
from limits import parse_many
from limits.errors import ConfigurationError
from passlib.exc import UsedTokenError
from passlib.totp import TotpMatch
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError, IntegrityError

from .settings import ConfigError, serving
from .typing import Value

MOST_LETTERS = 4096  # of a value in a form: hashing a password of a megabyte takes a worker's time
KEEPING = ("console", "dummy", "file", "locmem")  # backends of Flask-Mailman that ask no server


def require(app: Flask, needed: Mapping[str, str]) -> None:
    """Refuse to serve in production without the keys that accounts need.

    Development and tests need none: secrets of second factors are kept under ``SECRET_KEY`` there.

    :param needed: each key, and an example of what to give
    :raises ConfigError: naming a key that is not set
    """
    at_home = app.config.get("DEVELOPMENT") or app.testing
    if at_home:
        app.config.setdefault("SECURITY_TOTP_SECRETS", {"1": app.config["SECRET_KEY"]})
    for key, example in needed.items() if serving() and not at_home else ():
        if not app.config.get(key):
            raise ConfigError(f"{key} is not set, and accounts need it: give {example}.")
    if app.config.get("SECURITY_TWO_FACTOR") and not app.config.get("SECURITY_TOTP_SECRETS"):
        raise ConfigError('SECURITY_TWO_FACTOR: set SECURITY_TOTP_SECRETS = {"1": "..."}.')


def refuse() -> None:
    """Refuse what no form means: JSON, an endless password, NUL, which PostgreSQL does not take.

    For ``app.before_request``, in front of Flask-Security.
    """
    ours = _is_security()
    if ours and request.is_json:
        abort(415)
    for value in request.values.values():
        if "\0" in value or (ours and len(value) > MOST_LETTERS):
            abort(400)


def _is_security() -> bool:
    """Whether a request is for a page of Flask-Security."""
    blueprint: str = current_app.config["SECURITY_BLUEPRINT_NAME"]
    return request.blueprint == blueprint


class UserDatastore(flask_security.SQLAlchemyUserDatastore):
    """Where accounts are; nobody logs in by a spelling that only a collation takes for theirs."""

    def find_user(self, case_insensitive: bool = False, **named: Value) -> UserMixin | None:
        """Return who it is, and for a login, of this address alone: attempts are counted by it."""
        user: UserMixin | None = super().find_user(case_insensitive, **named)
        if user and "email" in named and request and _is_page("login"):
            return user if user.email == named["email"].lower() else None
        return user


def _is_page(name: str) -> bool:
    """Whether a request is for this page of Flask-Security."""
    return _is_security() and request.endpoint == f"{request.blueprint}.{name}"


class Totp(flask_security.Totp):
    """The codes of a second factor: each lets in once, whichever process it comes to.

    RFC 6238, 5.2: a code is not accepted a second time. A user has a column for the last one,
    ``tf_counter: Mapped[int] = mapped_column(default=0, server_default="0")``.
    """

    def set_last_counter(self, user: UserMixin, tmatch: TotpMatch) -> None:
        """Note up to which code they are used.

        :raises UsedTokenError: when this one is
        """
        store = current_app.extensions["security"].datastore
        model = store.user_model
        unused = update(model).where(model.id == user.id, model.tf_counter < tmatch.counter)
        connection = store.db.session.connection({"mapper": model})
        if not connection.execute(unused.values(tf_counter=tmatch.counter)).rowcount:
            raise UsedTokenError


class MailUtil(flask_security.MailUtil):
    """Sends mail behind the answer: how long it takes would tell who has an account."""

    def send_mail(self, *arguments: Value, **named: Value) -> None:
        """Send it; what is printed, or kept for a test, is so before the answer."""
        send = copy_current_request_context(super().send_mail)
        thread = Thread(target=send, args=arguments, kwargs=named)
        thread.start()
        if current_app.extensions["mailman"].backend in KEEPING:
            thread.join()


def limit_attempts(app: Flask) -> Limiter:
    """Limit what is posted to the pages of Flask-Security.

    ``RATELIMIT_DEFAULT`` is what an address may post to each of them, ``RATELIMIT_ACCOUNT`` what may be
    posted to each about an account, from all addresses together, be there such an account or not. A
    browser that was let in before is counted by itself: strangers lock nobody out.

    :returns: Flask-Limiter's own, for limits of other pages
    :raises ConfigError: when one of them is no limit, or ``RATELIMIT_STORAGE_URI`` no storage
    """
    password_reset.connect(_know, app)
    user_authenticated.connect(_know, app)
    storage = app.config.get("RATELIMIT_STORAGE_URI") or "memory://"
    limits: list[str | Callable[[], str] | Limit] = [
        _limit("RATELIMIT_DEFAULT", app.config.get("RATELIMIT_DEFAULT"), get_remote_address),
        _limit("RATELIMIT_ACCOUNT", app.config.get("RATELIMIT_ACCOUNT"), _account),
    ]
    try:
        return Limiter(get_remote_address, app=app, default_limits=limits, storage_uri=storage)
    except (ConfigurationError, ValueError):
        raise ConfigError(
            "RATELIMIT_STORAGE_URI is no storage: give redis://host:6379, with odd characters of a "
            "password percent-encoded (# is %23)."
        ) from None  # the cause holds a part of it


def _limit(key: str, value: str | None, whose: Callable[[], str]) -> Limit:
    """Return the limit that a key of the configuration says; Flask-Limiter takes none for no limit."""
    try:
        parse_many(value or "")
    except ValueError as error:
        raise ConfigError(
            f"{key} is no limit ({error}): give 10 per minute; 100 per hour."
        ) from error
    return Limit(value or "", whose, exempt_when=_unlimited)


def _unlimited() -> bool:
    """Whether a request cannot guess."""
    return request.method != "POST" or not _is_security()


def _account() -> str:
    """Say whose account a form is about, be there such a one or not."""
    if _is_page("two_factor_token_validation"):
        return str(session.get("tf_user_id"))
    if not request.form.get("email"):
        return get_remote_address()
    whose = _digest(request.form["email"])
    known: dict[str, str] = session.get("known", {})
    return known.get(whose, whose)


def _digest(email: str) -> str:
    """Make one text of all spellings that are looked up as the same address."""
    with suppress(ValueError):
        email = current_app.extensions["security"].mail_util.normalize(email)
    return sha256(email.lower().encode()).hexdigest()


def _know(_: Flask, user: UserMixin, **named: Value) -> None:
    """Count by itself what is posted by a browser that was let in."""
    session["known"] = {_digest(user.email): token_hex()}


class AppGroup(flask_cli.AppGroup):
    """Commands about accounts, which say what is wrong in one sentence."""

    def invoke(self, ctx: click.Context) -> object:
        """Run one of them.

        :raises ClickException: for what a database, or an address, has against it
        """
        try:
            return super().invoke(ctx)
        except IntegrityError as error:
            raise click.ClickException(
                f"It has an account already: type {ctx.command_path} list."
            ) from error
        except DBAPIError as error:
            from . import errors, output  # and Alembic, which no server wants

            app = ctx.ensure_object(flask_cli.ScriptInfo).load_app()
            said = errors.of_the_database(error, app.config["SQLALCHEMY_DATABASE_URI"])
            behind = f"{output.plainly(str(error.orig))}: type db upgrade, try again."
            raise click.ClickException(said or behind) from error
        except ValueError as error:
            raise click.ClickException(f"{error} Give one like ada@example.com.") from error
