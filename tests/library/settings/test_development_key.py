"""The secret key of development: made at first use, once, for its owner alone, never in git."""

import fcntl
import stat
import subprocess
import sys

import pytest

KEY = "import my_app; print(my_app.create_app().config['SECRET_KEY'])"


def key_of(project):
    return project.warm(sys.executable, "-c", KEY).assert_ok().out.strip()


def test_the_key_is_made_at_first_use_and_kept(blog):
    file = blog.path / "var" / "secret_key"
    assert not file.exists()
    key = key_of(blog)
    assert len(key) >= 32
    assert key_of(blog) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_each_project_has_a_key_of_its_own(blog, new_project):
    assert key_of(blog) != key_of(new_project())


def test_processes_that_start_at_once_get_the_same_key(blog):
    together = (
        "import sys; from pathlib import Path; from flask_keel import settings; sys.stdin.readline();"
        "print(settings.development_key(Path.cwd()))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", together],
            cwd=blog.path,
            env=blog.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert keys == {(blog.path / "var" / "secret_key").read_text()}


def test_a_process_waits_for_the_key_that_another_is_writing(blog):
    with (blog.path / "var" / "secret_key").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = blog.start(sys.executable, "-c", KEY)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        held.write("the key of the other")
    assert process.communicate(timeout=60)[0].strip() == "the key of the other"


def test_a_key_that_was_left_empty_is_made_again(blog):
    # as a process that was killed between making the file and writing it leaves it
    (blog.path / "var" / "secret_key").touch(0o600)
    assert len(key_of(blog)) >= 32


def test_a_key_that_cannot_be_made_is_one_sentence(blog):
    (blog.path / "var" / "secret_key").mkdir()
    blog.warm(*blog.manage, "routes").assert_one_sentence("var/secret_key", "ls -ld")


def test_nothing_in_var_is_ever_in_git(blog):
    key_of(blog)
    blog.db("rebuild").assert_ok()
    blog.run("git", "init", "--quiet").assert_ok()
    blog.run("git", "add", "--all").assert_ok()
    tracked = blog.run("git", "ls-files", "var").assert_ok().out.split()
    assert tracked == ["var/.gitignore"]
