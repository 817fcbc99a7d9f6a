"""Accounts: login and what belongs to it (Flask-Security), its rate limits, and its mail."""

from flask import Flask
from flask_keel import accounts
from flask_mailman import Mail
from flask_security import RegisterFormV2, Security
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
    "SECURITY_CACHE_CONTROL": {"private": None, "no-store": None},  # words without a value
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


def init_app(app: Flask) -> None:
    """Add the pages of the accounts, their limits and commands; ConfigError for a bad setting."""
    for key, value in DEFAULTS.items():
        app.config.setdefault(key, value)
    accounts.require(app, NEEDED)
    Mail(app)
    app.before_request(accounts.refuse)  # JSON, endless passwords, NUL
    security = Security(
        app,
        accounts.UserDatastore(db, User, Role),  # nobody logs in by a spelling that is like theirs
        register_form=RegisterForm,
        mail_util_cls=accounts.MailUtil,  # sends behind the answer
        totp_cls=accounts.Totp,  # a code of the second factor lets in once
    )
    # sessions, no tokens: one is looked for in JSON, and the page that says "too long" broke on it
    security.login_manager.request_loader(lambda _: None)
    accounts.limit_attempts(app)  # by RATELIMIT_DEFAULT and RATELIMIT_ACCOUNT
    app.cli.add_command(users.group)
