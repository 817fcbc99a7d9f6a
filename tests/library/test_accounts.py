"""What guards the accounts of Flask-Security; a generated project's own tests walk through its pages."""

import traceback
from threading import Event

import pytest
from flask import Flask
from flask_mailman import Mail
from flask_mailman.backends.base import BaseEmailBackend
from flask_security import Security, hash_password
from users import PATIENCE, Role, User, application, db

from flask_keel import accounts
from flask_keel.settings import ConfigError

LIMITS = {"RATELIMIT_DEFAULT": "3 per hour", "RATELIMIT_ACCOUNT": "9 per hour"}
ADA = {"email": "ada@example.com", "password": "correct horse"}


@pytest.fixture
def serve():
    """Make an application whose accounts are guarded, with these settings."""

    def made(**settings):
        app = application(**LIMITS | settings)
        Mail(app)
        app.before_request(accounts.refuse)
        store = accounts.UserDatastore(db, User, Role)
        Security(app, store, mail_util_cls=accounts.MailUtil, totp_cls=accounts.Totp)
        accounts.limit_attempts(app)
        return app

    return made


class Slow(BaseEmailBackend):
    """A mail server that answers when it is told to."""

    begun, may, sent = Event(), Event(), Event()

    def send_messages(self, messages):
        self.begun.set()
        assert self.may.wait(PATIENCE)
        self.sent.set()


def test_an_answer_does_not_wait_for_the_mail(serve):
    app = serve(MAIL_BACKEND=Slow, SECURITY_RECOVERABLE=True)
    with app.app_context():
        db.session.add(User(email=ADA["email"], password=hash_password(ADA["password"])))
        db.session.commit()
    assert app.test_client().post("/reset", data={"email": ADA["email"]}).status_code == 200
    assert Slow.begun.wait(PATIENCE) and not Slow.sent.is_set()
    Slow.may.set()
    assert Slow.sent.wait(PATIENCE)


def test_pages_of_another_name_are_guarded_too(serve):
    client = serve(SECURITY_BLUEPRINT_NAME="auth").test_client()
    assert client.post("/login", data={**ADA, "password": "x" * 5000}).status_code == 400
    assert client.post("/login", json=ADA).status_code == 415
    codes = [client.post("/login", data=ADA).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RATELIMIT_DEFAULT", "nonsense"),
        ("RATELIMIT_DEFAULT", ""),
        ("RATELIMIT_ACCOUNT", None),
        ("RATELIMIT_STORAGE_URI", "nonsense"),
    ],
)
def test_what_limits_nothing_is_named(serve, key, value):
    with pytest.raises(ConfigError, match=f"^{key} is no "):
        serve(**{key: value})


@pytest.mark.parametrize("uri", ["redis://:s3cret#@host", "rediss+tls://:s3cret@host"])
def test_no_password_of_a_storage_is_said(serve, uri):
    with pytest.raises(ConfigError, match="percent-encoded") as raised:
        serve(RATELIMIT_STORAGE_URI=uri)
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


NEEDED = {"TRUSTED_HOSTS": "example.com"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, r"^TRUSTED_HOSTS is not set, and accounts need it: give example.com\.$"),
        ({"TRUSTED_HOSTS": ["a.com"], "SECURITY_TWO_FACTOR": True}, "set SECURITY_TOTP_SECRETS"),
    ],
)
def test_what_production_lacks_is_named(settings, words):
    app = Flask("theirs")
    app.config |= {"SECRET_KEY": "s", **settings}
    with pytest.raises(ConfigError, match=words):
        accounts.require(app, NEEDED)
    app.config["DEVELOPMENT"] = True
    accounts.require(app, NEEDED)
