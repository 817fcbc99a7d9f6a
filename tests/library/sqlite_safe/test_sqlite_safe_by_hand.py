"""The script by hand and as Alembic's post-write hook."""

import subprocess
import sys
import textwrap
from pathlib import Path

import click
import flask
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import write_hooks
from click.testing import CliRunner
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

import flask_keel
from flask_keel.sqlite_safe import register, sqlite_safe_command

from .migrating import ENV, migration

PLAIN = migration("op.drop_column('t', 'a')", "op.add_column('t', sa.Column('a', sa.Text()))")
UNNAMED = migration("op.create_unique_constraint(None, 't', ['a'])")
BROKEN = "from alembic import op\ndef upgrade(:\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file that is unsafe, one that is safe and one that is broken."""
    monkeypatch.chdir(tmp_path)
    Path("plain.py").write_text(PLAIN)
    Path("safe.py").write_text(migration("op.create_index('ix', 't', ['a'])"))
    Path("broken.py").write_text(BROKEN)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(sqlite_safe_command, arguments)


def test_files_are_made_safe_and_named(folder):
    done = run("plain.py", "safe.py")
    assert done.exit_code == 0
    assert done.stdout == "plain.py: made safe for SQLite\nsafe.py: safe already\n"
    assert "batch_op.drop_column('a')" in Path("plain.py").read_text()


def test_a_broken_file_is_left_alone_and_named_while_the_others_are_done(folder):
    done = run("broken.py", "plain.py")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "broken.py was left alone, since it cannot be read as Python (line 2"
    )
    assert Path("broken.py").read_text() == BROKEN
    assert "batch_op" in Path("plain.py").read_text()


def test_a_file_that_is_not_there_is_one_sentence(folder):
    done = run("nowhere.py")
    assert done.exit_code == 1
    assert done.output == (
        "nowhere.py: No such file or directory; give the path of a migration file.\n"
    )


def test_an_encoding_that_does_not_exist_is_one_sentence(folder):
    Path("odd.py").write_text("# coding: nonsense\n" + PLAIN)
    done = run("odd.py")
    assert done.exit_code == 1
    assert "unknown encoding: nonsense" in done.stderr


def test_check_names_what_would_change_and_writes_nothing(folder):
    done = run("--check", "plain.py", "safe.py")
    assert done.exit_code == 1
    assert done.stdout == "plain.py is not safe on SQLite yet; run sqlite-safe plain.py\n"
    assert Path("plain.py").read_text() == PLAIN
    assert run("--check", "safe.py").exit_code == 0


def test_diff_shows_what_would_change_and_writes_nothing(folder):
    done = run("--diff", "plain.py", "safe.py")
    assert done.exit_code == 0
    assert Path("plain.py").read_text() == PLAIN
    assert "-    op.drop_column('t', 'a')\n+    with op.batch_alter_table('t') as" in done.stdout
    patched = subprocess.run(
        ["git", "apply", "-p0"], input=done.stdout, text=True, capture_output=True
    )
    assert patched.returncode == 0, patched
    assert run("--check", "plain.py").exit_code == 0


def test_check_and_diff_go_together(folder):
    done = run("--check", "--diff", "plain.py")
    assert done.exit_code == 1
    assert done.stdout.startswith("--- plain.py\n+++ plain.py\n@@")
    assert done.stderr == "plain.py is not safe on SQLite yet; run sqlite-safe plain.py\n"
    assert Path("plain.py").read_text() == PLAIN


def test_a_diff_of_a_file_without_a_last_newline_says_so(folder):
    Path("end.py").write_text(PLAIN.partition("\n\ndef downgrade")[0].rstrip("\n"))
    assert run("--diff", "end.py").stdout.count("\\ No newline at end of file") == 2


def test_what_is_left_alone_is_said_on_stderr(folder):
    Path("odd.py").write_text(migration("op.drop_constraint('uq', 't', if_exists=True)"))
    done = run("odd.py")
    assert done.exit_code == 0
    assert done.stderr.startswith("odd.py: line 13: op.drop_constraint takes if_exists")


def test_a_folder_is_no_migration_file(folder):
    done = CliRunner().invoke(sqlite_safe_command, [str(folder)])
    assert done.exit_code == 1
    assert done.output.endswith("Is a directory; give the path of a migration file.\n")


def test_names_follow_the_applications_convention(folder):
    Path("unnamed.py").write_text(UNNAMED)
    app = flask.Flask("app")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    metadata = sa.MetaData(naming_convention={"uq": "einmalig_%(table_name)s_%(column_0_name)s"})
    db = SQLAlchemy(app, metadata=metadata)
    Migrate(app, db)
    with app.app_context():
        run("unnamed.py")
    assert "op.f('einmalig_t_a')" in Path("unnamed.py").read_text()


def git(folder, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def on_main(tmp_path, monkeypatch):
    """A migration without names that is on the main branch of a remote, and one that is not."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    text = UNNAMED.replace("    op.create", "    op.drop_column('t', 'b')\n    op.create")
    (versions / "old.py").write_text(text)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "all")
    git(tmp_path, "clone", "-q", "--bare", ".", "origin.git")
    git(tmp_path, "remote", "add", "origin", "origin.git")
    git(tmp_path, "fetch", "-q", "origin")
    git(tmp_path, "remote", "set-head", "origin", "main")
    (versions / "new.py").write_text(text)
    monkeypatch.chdir(versions)


def test_what_has_no_name_on_the_main_branch_gets_none_and_that_is_said(on_main):
    done = run("old.py", "new.py")
    assert done.exit_code == 0
    assert done.stderr.startswith("old.py is on the main branch, and servers that ran it have")
    assert "new.py" not in done.stderr
    assert "batch_op.create_unique_constraint(None, ['a'])" in Path("old.py").read_text()
    assert "batch_op.create_unique_constraint(op.f('uq_t_a'), ['a'])" in Path("new.py").read_text()


def test_it_gets_one_all_the_same_when_told(on_main):
    done = run("old.py", "--names")
    assert done.stderr == ""
    assert "op.f('uq_t_a')" in Path("old.py").read_text()


def test_without_anything_to_name_the_main_branch_is_not_spoken_of(on_main):
    Path("old.py").write_text(PLAIN)
    git(Path.cwd(), "commit", "-qam", "plain")
    git(Path.cwd(), "push", "-q", "origin", "main")
    git(Path.cwd(), "fetch", "-q", "origin")
    assert run("old.py").stderr == ""
    assert "batch_op.drop_column('a')" in Path("old.py").read_text()


@pytest.fixture
def revisions(tmp_path):
    """An Alembic environment whose new revisions go through the hook."""
    register()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions").mkdir()
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("url", f"sqlite:///{tmp_path / 'app.db'}")
    config.file_config.read_string(
        "[post_write_hooks]\nhooks = sqlite_safe\nsqlite_safe.type = sqlite_safe\n"
    )
    config.print_stdout = lambda *words: None
    yield config
    write_hooks._registry.pop("sqlite_safe")


def template(config, upgrade):
    """Let the next revision have this body."""
    text = "from alembic import op\nrevision = ${repr(up_revision)}\ndown_revision = None\n\n\n"
    text += f"def upgrade():\n{textwrap.indent(upgrade, '    ')}\n"
    (Path(config.get_main_option("script_location")) / "script.py.mako").write_text(text)


def test_a_new_revision_is_made_safe_by_the_hook(revisions):
    template(revisions, "op.create_unique_constraint(None, 't', ['a'])")
    script = command.revision(revisions, "new")
    assert (
        "batch_op.create_unique_constraint(op.f('uq_t_a'), ['a'])" in Path(script.path).read_text()
    )


def test_the_hook_names_a_file_that_it_does_not_understand_and_fails_nothing(
    revisions, tmp_path, capsys
):
    broken = tmp_path / "broken.py"
    broken.write_text(BROKEN)
    write_hooks._run_hooks(str(broken), [{"_hook_name": "h", "type": "sqlite_safe"}])
    assert f"{broken} was left alone" in capsys.readouterr().err
    assert broken.read_text() == BROKEN


LOOK = """
import sys
from flask_keel.sqlite_safe import rewrite
for file in sys.argv[1:]:
    result = rewrite(file, write=False)
    print(result.changed, "libcst" in sys.modules)
"""
SAFE = [
    "op.add_column('t', sa.Column('a', sa.Text(), server_default='x'))",
    "op.create_index('ix', 't', ['a'])\nop.execute('SELECT 1')",
    "op.alter_column('t', 'a', new_column_name='b')",
    "op.create_table('t', sa.Column('a', sa.Integer(), sa.ForeignKey('u.id')))",
    "with op.batch_alter_table('t', schema=None) as batch_op:\n"
    "    batch_op.add_column(sa.Column('b', sa.Text(), server_default=sa.text('1')))\n"
    "    batch_op.drop_index(batch_op.f('ix_t_a'))\n"
    "    batch_op.drop_column('a')\n"
    "    batch_op.create_unique_constraint(batch_op.f('uq_t_b'), ['b'])",
]


@pytest.mark.parametrize(
    "edited",
    [
        "op.drop_column('t', 'a')",
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.create_unique_constraint(None, ['b'])",
    ],
)
def test_libcst_is_imported_only_for_a_file_that_needs_an_edit(tmp_path, edited):
    files = [tmp_path / f"r{number}.py" for number in range(len(SAFE) + 1)]
    for file, upgrade in zip(files, [*SAFE, edited], strict=True):
        file.write_text(migration(upgrade))
    home = Path(flask_keel.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *files], capture_output=True, text=True, cwd=home
    )
    assert done.stdout.splitlines() == [*["False False"] * len(SAFE), "True True"], done.stderr


def test_a_file_that_was_made_safe_needs_no_second_edit(tmp_path):
    path = tmp_path / "r1.py"
    path.write_text(PLAIN + UNNAMED)
    home = Path(flask_keel.__file__).parents[1]
    for answer in ("True True", "False False"):
        done = subprocess.run(
            [sys.executable, "-c", LOOK.replace(", write=False", ""), str(path)],
            capture_output=True,
            text=True,
            cwd=home,
        )
        assert done.stdout.strip() == answer, done.stderr


def test_the_command_can_stand_in_a_group():
    group = click.Group("db", commands=[sqlite_safe_command])
    done = CliRunner().invoke(group, ["sqlite-safe", "--help"])
    assert "Edit migration FILES so that they are safe on SQLite." in done.output
