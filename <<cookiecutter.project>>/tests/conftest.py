"""What the tests share: an application on an empty database of its own."""

from contextlib import ExitStack
<% if cookiecutter.starter == "accounts" %>
from contextvars import Context
<% endif %>

import flask_migrate
import pytest
<% if cookiecutter.starter == "accounts" %>
from flask.testing import FlaskClient
<% endif %>
from flask_keel.scratch import databases, servers

from <<cookiecutter.module>> import create_app
from <<cookiecutter.module>>.extensions import db

<% if cookiecutter.starter == "accounts" %>

class Browser(FlaskClient):
    """Each request has its own context, as behind a server: who it is, is not remembered."""

    def open(self, *arguments, **named):
        return Context().run(super().open, *arguments, **named)

<% endif %>

@pytest.fixture
def empty_app():
    """The application on an empty database, gone afterwards."""
    template = create_app("test.conf")
    with ExitStack() as stack:
        made = databases.database(template.config["SQLALCHEMY_DATABASE_URI"])
        try:
            url = stack.enter_context(made)
        except servers.NotAllowed as denied:
            pytest.exit(f"{denied.reason}: each test needs one.", returncode=1)
        app = create_app("test.conf", {"SQLALCHEMY_DATABASE_URI": url})
<% if cookiecutter.starter == "accounts" %>
        app.test_client_class = Browser
<% endif %>
        with app.app_context():
            db.engine.connect().close()  # SQLite makes its file now
            yield app
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def app(empty_app):
    """The application on a database that the migrations made."""
    flask_migrate.upgrade()
    return empty_app


@pytest.fixture
def client(app):
    """A browser of sorts."""
    return app.test_client()
