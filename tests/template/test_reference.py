"""The documents show what the code says now, and name nothing that is not there."""

import re
import sys
from functools import cache
from pathlib import Path

import pytest
from projects import TEMPLATE
from sqlite_contents import script

sys.path.insert(0, str(TEMPLATE / "docs"))
import reference

DOCUMENTS = {path.relative_to(TEMPLATE).as_posix(): path for path in reference.DOCUMENTS}
# what was decided tells of what was, too
PRESENT = [name for name in DOCUMENTS if name != "docs/decisions.md"]
# made in a generated project, or by a command
MADE = (
    "var/",
    "vendor/",
    "my-app/",
    "schema/",
    "binds/",
    "docs/schema.md",
    "dist/",
    "/healthz",
    "/readyz",
    "/path/to/",
    "tests/fuzz",
)
# the words of the house: its code, its template, its Makefiles and settings
HOUSE = ("src", "tests", "keel_answers", "hooks", ".ci", ".github", "<<cookiecutter.project>>")
MODULE = "<<cookiecutter.module>>"


def text_of(name: str) -> str:
    return DOCUMENTS[name].read_text(encoding="utf-8")


def spans(text: str) -> set[str]:
    """What stands between backticks, outside of blocks of code and of what is made from the code."""
    prose = re.sub(r"```.*?```", "", reference.PART.sub("", text), flags=re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def typed(text: str) -> list[str]:
    """The commands of a document: the lines of its sh blocks, and what its sentences name."""
    lines = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)).splitlines()
    blocks = [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]
    return [line for line in [*blocks, *spans(text)] if line]


@cache
def words() -> set[str]:
    """Every word of the house's own files."""
    files = [TEMPLATE / name for name in ("Makefile", "pyproject.toml", "CHANGELOG.md")]
    files += [path for folder in HOUSE for path in (TEMPLATE / folder).rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix not in (".pyc", ".svg", ".png", ".whl")]
    return {
        word
        for path in kept
        if path.name != Path(__file__).name
        for word in re.findall(r"[\w-]+", f"{path.name} {path.read_text(errors='ignore')}")
    }


@cache
def targets() -> set[str]:
    makefiles = (TEMPLATE / "Makefile", reference.PROJECT / "Makefile")
    return {
        target
        for file in makefiles
        for target in re.findall(r"^([a-z][a-z-]*):", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_made_from_the_code_is_as_the_code_makes_it_now(name):
    text = text_of(name)
    assert reference.written(text) == text, "type make docs"


def test_each_command_has_its_place_and_each_place_its_command():
    shown = reference.parts(text_of("docs/commands.md"), "command")
    assert sorted(shown) == sorted(reference.commands())


def test_each_key_of_the_configuration_has_its_place_and_each_place_its_key():
    text = text_of("docs/settings.md")
    assert sorted(reference.parts(text, "setting")) == sorted(reference.settings())
    assert sorted(reference.parts(text, "variable")) == sorted(reference.variables())


def test_each_public_name_has_its_place():
    import flask_keel

    shown = reference.parts(text_of("docs/api.md"), "signature")
    assert {f"flask_keel.{name}" for name in flask_keel.__all__} <= set(shown)
    methods = [name for name in vars(flask_keel.Keel) if not name.startswith("_")]
    assert {f"flask_keel.Keel.{name}" for name in methods} <= set(shown)


def test_what_a_generated_project_calls_of_the_library_is_public():
    """What ``create_app``, ``extensions.py`` and env.py import stands in the document of the API."""
    shown = " ".join(reference.parts(text_of("docs/api.md"), "signature"))
    headings = re.findall(r"^### (\S+)$", text_of("docs/api.md"), re.MULTILINE)
    for path in (reference.PROJECT / MODULE).rglob("*.py"):
        text = path.read_text()
        for module, names in re.findall(
            r"^from flask_keel(\.\w+)? import (.+)$", text, re.MULTILINE
        ):
            for name in names.split(", "):
                assert f"flask_keel{module}.{name}" in shown, f"{path.name} imports {name}"
                for called in re.findall(rf"(?<![.\w]){name}\.(\w+)", text):
                    assert module or f"{name}.{called}" in headings, f"{path.name}: {name}.{called}"


def test_each_room_is_told_of():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text_of("docs/architecture.md"), re.MULTILINE)
    told = [room for row in rows for room in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(room for floor in reference.floors() for room in floor)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_link_leads_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = (DOCUMENTS[name].parent / path).resolve() if path else DOCUMENTS[name]
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert heading in {anchor(title) for title in titles}, target


def anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PRESENT)
def test_each_target_of_make_that_is_named_is_one(name):
    for line in typed(text_of(name)):
        found = re.search(r"(?:^|&& )make ((?:[a-z][a-z-]*(?: |$))+)", line)
        for target in found[1].split() if found else []:
            assert target in targets(), line


@pytest.mark.parametrize("name", PRESENT)
def test_each_command_of_db_that_is_named_is_one(name):
    known = reference.commands()
    for line in typed(text_of(name)):
        found = re.match(r"(?:[A-Z]+=\S+ )*(?:flask )?db ([a-z][a-z-]*)(.*)$", line)
        if not found:
            continue
        command = known.get(found[1])
        assert command, line
        options = {option for one in command.params for option in one.opts}
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", found[2]):
            assert option in options, line


@pytest.mark.parametrize("name", PRESENT)
def test_each_file_that_is_named_is_there(name):
    in_blocks = re.findall(r"(?<=[ \"])tests/[\w/.]+", "\n".join(typed(text_of(name))))
    for span in [*spans(text_of(name)), *in_blocks]:
        named = re.fullmatch(r"[\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|toml|ini|txt|json)", span)
        if named and not span.startswith(MADE) and "//" not in span:
            assert is_a_file(span), span


def is_a_file(span: str) -> bool:
    span = span.replace("my_app", MODULE)
    places = (
        TEMPLATE,
        TEMPLATE / "tests",
        reference.LIBRARY.parent,
        reference.LIBRARY,
        reference.PROJECT,
    )
    places += (reference.PROJECT / MODULE, reference.PROJECT / MODULE / "migrations")
    made = "<<cookiecutter.project>>"
    return any((place / span).exists() for place in places) or (TEMPLATE / made / span).exists()


@pytest.mark.parametrize("name", PRESENT)
def test_each_name_that_is_named_occurs_in_the_code(name):
    for span in spans(text_of(name)):
        if re.fullmatch(r"[\w.]*[A-Za-z_]\w*", span) and not span.isdigit():
            for word in span.split("."):
                assert not word or word in words(), span


def test_the_exit_codes_are_those_of_the_commands(blog):
    codes = re.findall(r"^\| ([\d, ]+) \|", text_of("docs/exit-codes.md"), re.MULTILINE)
    assert [int(code) for row in codes for code in row.split(", ")] == [
        0,
        1,
        2,
        3,
        4,
        129,
        130,
        143,
    ]
    assert blog.db("rebuild").code == 0
    assert blog.db("upgrade").code == 0
    script(blog.database, "DELETE FROM alembic_log")
    file = blog.package / "migrations" / "schema" / "sqlite.sql"
    text = file.read_text()
    file.unlink()
    assert blog.db("status").code == 3
    file.write_text(text)
    for typo in ("upgarde", "upgrade --nonsense", ""):
        assert blog.db(*typo.split()).code == 2
    model = blog.package / "models" / "post.py"
    column = "    subtitle: Mapped[str | None] = mapped_column(String(200))\n"
    model.write_text(model.read_text().replace("    summary: ", f"{column}    summary: ", 1))
    assert blog.db("check").code == 1
    script(blog.database, "UPDATE alembic_version SET version_num = 'of_a_newer_release'")
    assert blog.db("upgrade").code == 4
