"""SETTINGS: a bare name is a file of etc/conf, a path is a path, and nothing is guessed."""

import shutil
import sys

import pytest
from serving import assert_refuses, gunicorn

SHOW = "import {0}; print({0}.create_app().config['SETTINGS'])"


@pytest.fixture
def settings_of(project):
    """Which file a process takes its settings from: ``settings_of(cwd=..., SETTINGS=...)``."""

    def settings(cwd=None, **env):
        script = SHOW.format(project.module)
        env["PYTHONPATH"] = str(project.path)
        return project.warm(sys.executable, "-c", script, cwd=cwd, **env)

    return settings


def test_a_bare_name_is_a_file_of_etc_conf_from_any_folder(project, settings_of, tmp_path):
    (tmp_path / "dev.conf").write_text("raise SystemExit('the wrong file')")
    answer = settings_of(cwd=tmp_path, SETTINGS="dev.conf").assert_ok()
    assert answer.out.strip() == str(project.path / "etc/conf/dev.conf")


@pytest.mark.parametrize("written", ["{folder}/mine.conf", "./mine.conf", "~/mine.conf"])
def test_what_has_a_slash_is_a_path(project, settings_of, tmp_path, written):
    shutil.copy(project.path / "etc/conf/dev.conf", tmp_path / "mine.conf")
    settings = written.format(folder=tmp_path)
    answer = settings_of(cwd=tmp_path, SETTINGS=settings, HOME=str(tmp_path)).assert_ok()
    assert answer.out.strip() == str(tmp_path / "mine.conf")


def test_a_missing_name_says_what_was_looked_for_and_what_there_is(project):
    answer = project.db("current", SETTINGS="staging.conf")
    conf = project.path / "etc/conf"
    answer.assert_one_sentence(
        str(conf / "staging.conf"), "SETTINGS=staging.conf", "dev.conf, prod.conf, test.conf"
    )


@pytest.mark.parametrize(
    "settings", ["./staging.conf", "~nobody-of-that-name/staging.conf", "/etc/"]
)
def test_a_missing_path_says_what_was_looked_for_and_what_there_is(project, settings):
    answer = project.db("current", SETTINGS=settings)
    answer.assert_one_sentence(f"SETTINGS={settings}", "dev.conf, prod.conf, test.conf")
    if settings.startswith("./"):
        answer.assert_one_sentence(str(project.path / "staging.conf"))


@pytest.mark.parametrize("settings", ["", "  "])
def test_an_empty_name_is_not_the_same_as_none(project, settings):
    project.db("current", SETTINGS=settings).assert_one_sentence("SETTINGS is empty", "dev.conf")


def test_a_command_without_settings_uses_dev_conf_and_says_so(project):
    answer = project.db("history", SETTINGS=None).assert_ok()
    assert f"using {project.path / 'etc/conf/dev.conf'}" in answer.err
    assert "using" not in answer.out
    assert "using" not in project.db("history").assert_ok().said


def test_a_server_without_settings_refuses_in_one_sentence_and_does_not_try_again(project):
    answer = project.warm(*gunicorn(project, "--bind", "127.0.0.1:0"), SETTINGS=None, timeout=30)
    assert_refuses(answer, "SETTINGS is not set", "SETTINGS=prod.conf")


def test_a_server_with_settings_that_are_not_there_refuses_the_same_way(project):
    answer = project.warm(
        *gunicorn(project, "--bind", "127.0.0.1:0"), SETTINGS="staging.conf", timeout=30
    )
    assert_refuses(answer, "staging.conf", "dev.conf, prod.conf, test.conf")


def test_a_syntax_error_in_the_file_is_named_with_its_line(project, tmp_path):
    conf = tmp_path / "broken.conf"
    conf.write_text("A = 1\nB = = 2\n")
    project.db("current", SETTINGS=str(conf)).assert_one_sentence(f"{conf}, line 2")


def test_an_error_in_the_file_is_named(project, tmp_path):
    conf = tmp_path / "broken.conf"
    conf.write_text("import os\nA = os.environ['NOT_THERE']\n")
    answer = project.db("current", SETTINGS=str(conf))
    answer.assert_one_sentence(str(conf), "KeyError", "NOT_THERE")
