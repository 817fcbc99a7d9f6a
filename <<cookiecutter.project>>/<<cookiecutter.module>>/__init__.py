"""<<cookiecutter.project>>: the application factory."""

from flask import Flask

<% if cookiecutter.starter == "blog" %>
from . import blog, cli, config, database, extensions, health, models
<% else %>
from . import cli, config, database, extensions, health, models
<% endif %>


def create_app(settings=None, overrides=None):
    """Make the application.

    :param settings: the configuration file, as SETTINGS names it; None for the environment's
    :param overrides: a mapping of configuration values that win over the file's
    :raises config.ConfigError: when the configuration cannot be used, in one sentence
    """
    app = Flask(__name__)
    config.load(app, settings, overrides)
    extensions.init_app(app)
    models.import_all()
    database.init_app(app)
    cli.init_app(app)
    app.register_blueprint(health.bp)
<% if cookiecutter.starter == "blog" %>
    app.register_blueprint(blog.bp)
<% endif %>
    return app
