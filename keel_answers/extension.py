"""The Jinja extension that cookiecutter.json names: it checks the answers and offers the filters.

cookiecutter prints a FailedHookException as it is and leaves with 1, without a traceback.
"""

from __future__ import annotations

import re
import sys

from cookiecutter import __version__ as cookiecutter_version
from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context

from keel_answers.left_out import empty_folders, when_wanted
from keel_answers.origin import PROJECT, lost_links, template_commit
from keel_answers.rules import MARKS, QUESTIONS, module_name, problems, shown
from keel_answers.text import as_json, package_author, quoted
from keel_answers.wheel import TEMPLATE, version

# the templates that cookiecutter.json itself holds: anything else in a question is an answer
BEGIN = "<<answers_are_text()>>"
DERIVE = "<<module_name(cookiecutter.project)>>"
REFUSE = "<<refuse_bad_answers()>>"


class Answers(Extension):
    """Checks what was answered, however it was answered, before anything is written.

    The template's files may use, besides `cookiecutter.<question>`:

    - the filter `quoted`: a text as a string literal of Python, TOML and YAML;
    - the filter `as_json`: a value as indented JSON;
    - `answers()`: question -> answer, without cookiecutter's own keys;
    - `package_author()`: one entry of `[project] authors`, or nothing;
    - `template_commit()`: the template's commit, or nothing;
    - `template_folder()`: where the template lies on this machine, for inside of a Python string;
    - `library_version()`: the version of the library's wheel.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        _refuse_old_cookiecutter(cookiecutter_version)
        _refuse_lost_links()
        self.typed: list[str] | None = None
        self.refused = False
        environment.filters.update(quoted=quoted, as_json=as_json)
        environment.globals.update(
            answers=_answers,
            answers_are_text=self._answers_are_text,
            as_typed=lambda number: self.typed[number],
            empty_folders=_empty_folders,
            module_name=module_name,
            package_author=_package_author,
            refuse_bad_answers=_refuse_bad_answers,
            template_commit=template_commit,
            template_folder=_template_folder,
            library_version=version,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """See every text before Jinja reads it as a template.

        cookiecutter renders answers that were given as key=value or in a configuration file:
        while it asks, they are handed through as text.  Then it renders the names of the
        project's folder and files: the folder's is the last moment before anything is written,
        and the only one that a replay passes too.
        """
        if name is not None:
            return source
        if self.typed is not None:
            return source if self._is_ours(source) else self._as_text(source)
        return REFUSE + source if source == PROJECT else when_wanted(source)

    def _is_ours(self, source: str) -> bool:
        """Tell our own templates from an answer that repeats one: each has its place, once."""
        if source == REFUSE:
            if self.refused:
                _stop(f"An answer, {REFUSE!r}, holds <<, which begins a template; type another.")
            self.refused = True
            return True
        return source == DERIVE and len(self.typed) == 1

    def _answers_are_text(self) -> str:
        self.typed = []
        return ""

    def _as_text(self, answer: str) -> str:
        self.typed.append(answer)
        return f"<<as_typed({len(self.typed) - 1})>>"


@pass_context
def _answers(context: Context) -> dict[str, str]:
    return {key: context["cookiecutter"][key] for key in QUESTIONS}


@pass_context
def _empty_folders(context: Context) -> list[str]:
    return empty_folders(context["cookiecutter"])


def _template_folder() -> str:
    return str(TEMPLATE).encode("unicode_escape").decode().replace('"', '\\"')


@pass_context
def _package_author(context: Context) -> str:
    return package_author(context["cookiecutter"]["author"], context["cookiecutter"]["email"])


@pass_context
def _refuse_bad_answers(context: Context) -> str:
    answers = context["cookiecutter"]
    found = problems(answers)
    folder = answers.get("_output_dir", "")
    mark = next((mark for mark in MARKS if mark in folder), None)
    if mark:
        found.append(
            f"folder: {shown(folder)} holds {mark}, which begins a template, and cookiecutter"
            " would render it; say another folder with -o FOLDER"
        )
    if found:
        many = "One answer" if len(found) == 1 else f"{len(found)} answers"
        _stop("\n  ".join([f"{many} cannot be used, and nothing was written:", *found]))
    return ""


def _refuse_old_cookiecutter(version: str) -> None:
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 6):
        _stop(
            f"This template needs cookiecutter 2.6 or newer and this is {version}; type"
            " `python3 -m pip install --upgrade 'cookiecutter>=2.6'` and try again."
        )


def _refuse_lost_links() -> None:
    lost = lost_links()
    if lost:
        _stop(
            f"This copy of the template has lost its links ({', '.join(lost)}), as a zip archive"
            " does, and nothing was written; give cookiecutter the template's git URL or the"
            " path of a `git clone` instead."
        )


def _stop(sentence: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    raise FailedHookException(sentence.encode(encoding, "backslashreplace").decode(encoding))
