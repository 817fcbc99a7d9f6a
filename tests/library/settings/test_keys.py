"""A key of ours that is misspelt, or says neither yes nor no, is a sentence and not a silence."""

import sys

import pytest
from flask import Flask
from projects import TEMPLATE

from flask_keel import settings

sys.path.append(str(TEMPLATE / "docs"))
import reference

FLASKS_OWN = {*Flask("any").default_config, "SETTINGS"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ZERO_DOWNTIM = True", "ZERO_DOWNTIM, which nothing reads: did you mean ZERO_DOWNTIME?"),
        ("MIGRATION_BACKUP_COUNT = 3", "did you mean MIGRATION_BACKUP"),
        ("MIGRATION_TIMEOUT = 3", "MIGRATION_TIMEOUT, which nothing reads"),
        ("SQLALCHEMY_DATABASE_URL = 'x'", "did you mean SQLALCHEMY_DATABASE_URI?"),
        ("CONFIRM_DATALOSS = True", "did you mean CONFIRM_DATA_LOSS?"),
        ("ZERO_DOWNTIME = 'yes'", "ZERO_DOWNTIME = 'yes': give True or False."),
        ("DB_REBUILD_ALLOWED = 1", "DB_REBUILD_ALLOWED = 1: give True or False."),
    ],
)
def test_a_misspelt_key_is_named_with_what_was_meant(project, tmp_path, line, words):
    conf = tmp_path / "mine.conf"
    conf.write_text(f"SQLALCHEMY_DATABASE_URI = 'sqlite:///var/mine.db'\n{line}\n")
    answer = project.db("current", SETTINGS=str(conf))
    answer.assert_one_sentence(str(conf), words)
    assert not (tmp_path / "var/mine.db").exists()


@pytest.mark.parametrize(
    "key", ["SECRET_KEYS", "MAIL_SERVER", "BACKUPS", "ZERO", "SQLALCHEMY_ECHO", "PROXIES"]
)
def test_a_key_of_the_application_is_its_own(project, tmp_path, key):
    conf = tmp_path / "mine.conf"
    conf.write_text(f"SQLALCHEMY_DATABASE_URI = 'sqlite:///var/mine.db'\n{key} = 1\n")
    assert "which nothing reads" not in project.db("heads", SETTINGS=str(conf)).assert_ok().said


def test_every_key_that_the_library_reads_is_known_and_no_other():
    # what the accounts read is Flask-Security's and Flask-Limiter's, which know their own
    read = {key for key, (modules, _) in reference.settings().items() if modules - {"accounts"}}
    assert set(settings.KEYS) == read - FLASKS_OWN
