"""Where the template may come from: a folder, a git URL, a tag; and what a zip archive loses."""

import json
import shutil
import subprocess
import zipfile

import pytest
from cookiecutter.exceptions import FailedHookException

from keel_answers.extension import _refuse_old_cookiecutter
from keel_answers.origin import LINKS, lost_links, template_commit

from .miniature import FILES, PROJECT, UNRENDERED, commit_all


def recorded(bakery, project="my-app"):
    return json.loads((bakery.output / project / ".cookiecutter.json").read_text(encoding="utf-8"))


def test_a_local_folder_gives_a_project(template, bakery):
    bakery.generate(template)
    project = bakery.output / "my-app"
    assert (project / "Makefile").read_text() == "# my-app\nhelp:\n\t@echo my_app\n"
    assert (project / "etc/conf/prod.conf").read_text().startswith("# prod of my-app")
    assert not any(path.is_symlink() for path in project.rglob("*"))
    assert recorded(bakery) == {
        "answers": {
            "project": "my-app",
            "module": "my_app",
            "description": "A web application whose database can change without fear",
            "author": "Your Name",
            "email": "you@example.com",
            "license": "MIT",
            "database": "sqlite",
            "starter": "blog",
        },
        "commit": "",
    }


def test_a_relative_path_gives_the_same(template, bakery):
    commit = commit_all(template)
    bakery.generate(template.name, "-o", bakery.output, cwd=template.parent)
    assert recorded(bakery)["commit"] == commit


def test_a_git_url_with_a_tag_gives_that_tag(template, bakery):
    commit = commit_all(template)
    subprocess.run(["git", "-C", template, "tag", "1.0"], check=True)
    (template / PROJECT / "README.md").write_text("later")
    commit_all_again = ["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qam", "Later"]
    subprocess.run(["git", "-C", template, *commit_all_again], check=True)

    bakery.generate(f"git+file://{template}", "-c", "1.0", "description=of the tag")

    assert recorded(bakery)["commit"] == commit
    assert (bakery.output / "my-app" / "README.md").read_text() == "of the tag"
    assert (bakery.output / "my-app" / "Makefile").read_text().startswith("# my-app")


def test_a_template_inside_of_another_repository_has_no_commit(template):
    commit_all(template.parent)
    assert template_commit(template) == ""


def test_a_git_hook_around_it_does_not_change_the_commit(template, monkeypatch, tmp_path):
    commit = commit_all(template)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert template_commit(template) == commit


def test_a_zip_archive_is_refused_before_anything_is_written(template, bakery, tmp_path):
    commit_all(template)
    archive = tmp_path / "keel.zip"
    subprocess.run(
        ["git", "-C", template, "archive", "--prefix=keel/", "-o", archive, "HEAD"], check=True
    )
    said = bakery.refuse(archive, "--no-input")
    assert "has lost its links (Makefile, etc/conf/dev.conf" in said
    assert "git URL" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("link", LINKS)
def test_each_link_that_is_lost_is_named(template, link):
    place = template / PROJECT / link
    target = place.readlink()
    place.unlink()
    assert lost_links(template) == [link]
    place.write_text(str(target))
    assert lost_links(template) == [link]


def test_a_copy_that_followed_the_links_is_as_good(template, bakery, tmp_path):
    shutil.copytree(template, tmp_path / "copy")
    bakery.generate(tmp_path / "copy")
    assert (bakery.output / "my-app" / "Makefile").read_text().startswith("# my-app")


@pytest.mark.parametrize("version", ["2.5.0", "1.7.3", "2.0"])
def test_an_older_cookiecutter_is_told_in_a_sentence(version):
    with pytest.raises(FailedHookException, match=rf"2\.6 or newer and this is {version}; type"):
        _refuse_old_cookiecutter(version)


@pytest.mark.parametrize("version", ["2.6.0", "2.10", "3.0.0b1"])
def test_a_newer_cookiecutter_passes(version):
    _refuse_old_cookiecutter(version)


def test_another_package_called_hooks_does_not_get_in_the_way(template, bakery, tmp_path):
    for name in ("hooks", "keel"):
        (tmp_path / "path" / name).mkdir(parents=True)
        (tmp_path / "path" / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    bakery.generate(template, environment={"PYTHONPATH": str(tmp_path / "path")})


def test_the_library_arrives_byte_for_byte(template, bakery):
    bakery.generate(template)
    (wheel,) = (bakery.output / "my-app/vendor").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in ("flask_keel/__init__.py", "flask_keel/deep/rows.py"):
            assert archive.read(name).decode() == UNRENDERED


def test_no_secret_is_kept_for_a_replay(template, bakery):
    bakery.generate(template)
    (kept,) = bakery.replay_folder.iterdir()
    context = json.loads(kept.read_text(encoding="utf-8"))["cookiecutter"]
    hidden = {key for key in context if key.startswith("__")}
    assert {context[key] for key in hidden} == {""}
    assert not any("secret" in key for key in context)


def test_the_miniature_has_what_the_real_template_leaves_out():
    from keel_answers.left_out import LEFT_OUT

    patterns = [pattern for group in LEFT_OUT.values() for pattern in group]
    for pattern in patterns:
        prefix = f"{PROJECT}/{pattern.partition('*')[0]}"
        assert any(name.startswith(prefix) for name in FILES), pattern
