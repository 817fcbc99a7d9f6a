"""<<cookiecutter.project>>: the application factory."""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask_keel import engines, health, pending, settings
from flask_keel.models import import_all

<% if cookiecutter.starter == "blog" %>
from . import blog, logs, pages, security
<% elif cookiecutter.starter == "accounts" %>
from . import accounts, admin, logs, pages, security
<% else %>
from . import logs, pages, security
<% endif %>
from .extensions import db, keel


def create_app(
    settings_file: str | None = None, overrides: Mapping[str, Any] | None = None
) -> Flask:
    """Make the application.

    :param settings_file: the configuration file, as SETTINGS names it; None for the environment's
    :param overrides: a mapping of configuration values that win over the file's
    :raises settings.ConfigError: when the configuration cannot be used, in one sentence
    """
    app = Flask(__name__)
    settings.load(app, settings_file, overrides)  # etc/conf/*.conf becomes app.config
    logs.init_app(app)  # ids of requests, JSON in production, Sentry
    security.init_app(app)  # headers, tokens of forms, proxies
    engines.init_app(app, db)  # SQLite gets foreign keys, write-ahead logging and transactions
    import_all(f"{__name__}.models")
    keel.init_app(app)  # the commands `db ...`
    pending.init_app(app)  # in development, what is not migrated is a page
    app.register_blueprint(health.bp)  # /healthz and /readyz
    app.register_blueprint(pages.bp)
<% if cookiecutter.starter == "blog" %>
    app.register_blueprint(blog.bp)
<% elif cookiecutter.starter == "accounts" %>
    accounts.init_app(app)  # login and what belongs to it, rate limits, mail, `users ...`
    admin.init_app(app)  # /admin
<% endif %>
    return app
