"""Settings that cannot be used, in every way in which a command is typed."""

import pytest

from .every_way import assert_one_sentence, without_power

BODIES = {
    "a syntax error": ("x = = 1", "line 10: invalid syntax", "mend the line"),
    "an error": ("1 / 0", "does not run (ZeroDivisionError: division by zero)", "mend it"),
    "an import that fails": ("import not_installed", "No module named 'not_installed'", "mend it"),
    "odd engine options": (
        "SQLALCHEMY_ENGINE_OPTIONS = {'odd': 1}",
        "'odd'",
        "mend SQLALCHEMY_ENGINE_OPTIONS",
    ),
    "a timeout that is no number": ("MIGRATION_LOCK_WAIT = 'soon'", "'soon'", "such as 60"),
    "no database": ("SQLALCHEMY_DATABASE_URI = None", "names no database", "type export"),
    "a URL that is none": ("SQLALCHEMY_DATABASE_URI = 'odd'", "cannot be read", "sqlite:///"),
}


@pytest.mark.parametrize(("body", "said", "mend"), BODIES.values(), ids=BODIES)
def test_a_settings_file_with(project, body, said, mend):
    conf = project.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\n{body}\n")
    assert len(conf.read_text().splitlines()) == 10
    assert_one_sentence(project, "upgrade", said, mend)


def test_no_part_of_a_password_is_said_of_a_line_that_cannot_read_it(project):
    conf = project.path / "etc" / "conf" / "dev.conf"
    body = "PORT = __import__('urllib.parse').parse.urlsplit('smtp://u:s3cret#@host').port"
    conf.write_text(f"{conf.read_text()}\n{body}\n")
    answer = project.db("upgrade")
    answer.assert_one_sentence(f"{conf} does not run (line 10: ValueError)", "percent-encoded")
    assert "s3cret" not in answer.said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("", "SETTINGS is empty: type SETTINGS=dev.conf"),
        ("nope.conf", "there is dev.conf, prod.conf, test.conf in"),
        ("/no/such/place.conf", "No settings file /no/such/place.conf"),
        ("etc/conf/", "No settings file"),
    ],
    ids=["empty", "not there", "a path that is not there", "a folder"],
)
def test_settings_that_are(project, settings, words):
    assert_one_sentence(project, "upgrade", words, SETTINGS=settings)


def test_a_settings_file_that_may_not_be_read(project):
    conf = project.path / "etc" / "conf" / "dev.conf"
    conf.chmod(0)
    answer = project.run(*without_power(), *project.manage, "db", "upgrade")
    answer.assert_one_sentence(f"{conf} cannot be read", "ls -l")


def test_a_settings_folder_that_may_not_be_entered(project):
    folder = project.path / "etc" / "conf"
    folder.chmod(0)
    try:
        answer = project.run(*without_power(), *project.manage, "db", "upgrade")
    finally:
        folder.chmod(0o755)
    answer.assert_one_sentence("No settings file")
