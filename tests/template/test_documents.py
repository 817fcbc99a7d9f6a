"""The READMEs, the Makefiles and the measurements say the same."""

import json
import re
from pathlib import Path

import pytest
from projects import TEMPLATE

START = "A new application"


def targets_of_help(project) -> set[str]:
    listed = project.run("make", "help").assert_ok().out
    return set(re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE))


def section(text: str, title: str) -> str:
    return re.split(r"^## ", text.split(f"\n## {title}\n", 1)[1], flags=re.MULTILINE)[0]


def shell_commands(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mysql"])
def test_the_projects_readme_has_a_row_for_each_target_of_its_help(generated, database):
    project = generated(database=database)
    readme = (project.path / "README.md").read_text()
    rows = re.findall(r"^\| `make ([a-z-]+)` \|", readme, re.MULTILINE)
    assert set(rows) == targets_of_help(project)
    assert len(rows) == len(set(rows))


def test_each_target_that_can_be_typed_is_in_the_help(generated):
    project = generated()
    makefile = (project.path / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert set(phony.replace("\\\n", " ").split()) == targets_of_help(project)


@pytest.mark.parametrize("name", ["README.md", "docs/deploy.md"])
def test_what_the_projects_documents_type_with_make_is_a_target(generated, name):
    project = generated()
    readme = (project.path / name).read_text()
    typed = re.findall(r"`make ([a-z-]+)", readme)
    typed += [command.split()[1] for command in shell_commands(readme) if command[:5] == "make "]
    assert set(typed) <= targets_of_help(project)


def test_the_commands_of_the_roots_start_are_targets_of_its_makefile():
    commands = shell_commands(section((TEMPLATE / "README.md").read_text(), START))
    targets = re.findall(r"^([a-z][a-z-]*):", (TEMPLATE / "Makefile").read_text(), re.MULTILINE)
    assert commands, "the section about a new application has no command"
    for command in commands:
        make, target, *_ = command.split()
        assert make == "make" and target in targets, command


def test_what_the_root_says_of_the_project_is_a_target_of_it(generated):
    readme = (TEMPLATE / "README.md").read_text()
    targets = targets_of_help(generated())
    (walk,) = re.findall(r"## One schema change\n(.*?)\n## ", readme, re.DOTALL)
    typed = re.findall(r"^\$ make ([a-z-]+)", walk, re.MULTILINE)
    assert typed and set(typed) <= targets


def test_the_pipeline_calls_the_readmes_test_command():
    script = TEMPLATE / ".ci" / "run"
    commands = shell_commands(section((TEMPLATE / "README.md").read_text(), START))
    assert "make test" in commands
    assert re.search(r"^\s*(exec )?make test\b", script.read_text(), re.MULTILINE)
    assert Path(script).stat().st_mode & 0o111


def test_the_document_of_speed_shows_the_figures_that_were_measured(monkeypatch):
    monkeypatch.syspath_prepend(TEMPLATE / "benchmarks")
    import newmigration
    import sqlite_engine

    shows = (TEMPLATE / "docs" / "speed.md").read_text()
    results = TEMPLATE / "benchmarks" / "results"
    measured = json.loads((results / "sqlite_engine.json").read_text())["results"]
    largest = max(result["rows"] for result in measured)
    shown = [result for result in measured if result["rows"] == largest]
    assert sqlite_engine.table(shown) in shows
    assert newmigration.table(json.loads((results / "newmigration.json").read_text())) in shows
    assert (TEMPLATE / "benchmarks" / "results" / "sqlite_engine.svg").exists()
