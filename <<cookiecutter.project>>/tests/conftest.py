"""What the tests share: an application on empty databases of its own."""

from contextlib import ExitStack
<% if cookiecutter.starter == "accounts" %>
from contextvars import Context
<% endif %>

import flask_migrate
import pytest
<% if cookiecutter.starter == "accounts" %>
from flask.testing import FlaskClient
<% endif %>
from flask_keel import binds
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
    """The application on an empty database for each that it has, gone afterwards."""
    template = create_app("test.conf")
    with ExitStack() as stack:
        try:
            empty = stack.enter_context(databases.empty(template))
        except servers.NotAllowed as denied:
            pytest.exit(f"{denied.reason}: each test needs one.", returncode=1)
        app = create_app("test.conf", empty)
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
    for folder in binds.folders(empty_app):
        flask_migrate.upgrade(str(folder))
    return empty_app


@pytest.fixture
def client(app):
    """A browser of sorts."""
    return app.test_client()
