"""Serving with prod.conf: refused without a proper key and with debug mode."""

import sys

import pytest
from serving import assert_refuses, free_port, get, gunicorn, served

LONG = "0123456789abcdef" * 4


def my_app(*arguments):
    return sys.executable, "bin/manage.py", *arguments


def flask(*arguments):
    return sys.executable, "-m", "flask", "--app", "my_app", *arguments


@pytest.fixture(scope="session")
def production(project):
    url = f"sqlite:///{project.path}/var/prod.db"
    env = {"SETTINGS": "prod.conf", "DATABASE_URL": url}
    project.db("upgrade", **env).assert_ok()
    return env


@pytest.fixture(params=["gunicorn", "flask run", "my-app run"])
def serve(request, project, production):
    """Start each of the servers on prod.conf; one that refuses ends by itself."""
    port = str(free_port())
    command = {
        "gunicorn": gunicorn(project, "--bind", f"127.0.0.1:{port}"),
        "flask run": flask("run", "--port", port),
        "my-app run": my_app("run", "--port", port),
    }[request.param]
    return lambda **env: project.warm(*command, timeout=30, **production, **env)


@pytest.mark.one_of_each
@pytest.mark.parametrize(
    ("key", "words"),
    [(None, "has no SECRET_KEY"), ("", "has no SECRET_KEY"), ("short", "is shorter than 32")],
)
def test_a_missing_or_short_key_is_refused_with_the_command_that_makes_one(serve, key, words):
    assert_refuses(serve(SECRET_KEY=key), words, "export SECRET_KEY=$(python3 -c")


@pytest.mark.some(1)
def test_the_key_of_development_is_refused(project, serve):
    project.warm(*my_app("routes")).assert_ok()
    key = (project.path / "var" / "secret_key").read_text()
    assert_refuses(serve(SECRET_KEY=key), "is the one of development")


def test_the_key_of_development_is_refused_to_a_settings_file_elsewhere_too(
    project, production, tmp_path
):
    project.warm(*my_app("routes")).assert_ok()
    key = (project.path / "var" / "secret_key").read_text()
    conf = tmp_path / "prod.conf"
    conf.write_text((project.path / "etc/conf/prod.conf").read_text())
    env = {**production, "SETTINGS": str(conf), "SECRET_KEY": key}
    assert_refuses(project.warm(*gunicorn(project), timeout=30, **env), "the one of development")


@pytest.mark.some(1)
def test_debug_mode_is_refused(serve):
    assert_refuses(serve(SECRET_KEY=LONG, FLASK_DEBUG="1"), "not for debug mode", "FLASK_DEBUG")


@pytest.mark.some(1)
@pytest.mark.parametrize("command", [my_app("run", "--debug"), flask("--debug", "run")])
def test_debug_mode_on_the_command_line_is_refused(project, production, command):
    answer = project.warm(*command, timeout=30, SECRET_KEY=LONG, **production)
    assert_refuses(answer, "not for debug mode", "--debug")


def test_debug_mode_in_the_file_is_refused(project, production, tmp_path):
    conf = tmp_path / "prod.conf"
    conf.write_text((project.path / "etc/conf/prod.conf").read_text() + "DEBUG = True\n")
    env = {**production, "SETTINGS": str(conf), "SECRET_KEY": LONG}
    assert_refuses(project.warm(*gunicorn(project), timeout=30, **env), "not for debug mode")


def test_with_a_proper_key_it_serves(project, production):
    port = free_port()
    command = gunicorn(project, "--bind", f"127.0.0.1:{port}")
    env = project.environment(SECRET_KEY=LONG, **production)
    with served(command, project.path, env, port) as url:
        assert get(f"{url}/readyz") == (200, '{"database":"ok","schema":"at head"}\n')
        status, page = get(url)
    assert status == 200
    assert "No posts yet." in page
