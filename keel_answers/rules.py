"""What an answer may be: one sentence for each that cannot be used, with what to type instead."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

from keel_answers.taken import COMMANDS, DEPENDENCIES, FOLDERS, STANDARD_LIBRARY

CHOICES = {
    "license": ("MIT", "BSD-3-Clause", "Apache-2.0", "none"),
    "database": ("sqlite", "postgresql", "mysql"),
    "starter": ("blog", "bare", "accounts"),
}
TEXTS = ("description", "author", "email")
QUESTIONS = ("project", "module", *TEXTS, *CHOICES)

MARKS = ("<<", "<%", "<#")
LONGEST_NAME = 100

# https://packaging.python.org/en/latest/specifications/name-normalization/
_DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def module_name(project: object) -> str:
    """The package's default name: the project's, in lower case, with _ for what is no letter."""
    return re.sub(r"[-. ]", "_", str(project).lower())


def problems(answers: Mapping[str, object]) -> list[str]:
    """Say what is wrong with the answers that are there.

    :param answers: question -> answer; a question that is missing is not looked at
    :return: one sentence for each answer that cannot be used, in the order of the questions
    """
    found = ((key, _problem(key, answers[key])) for key in QUESTIONS if key in answers)
    return [f"{key}: {sentence}" for key, sentence in found if sentence]


def _problem(key: str, answer: object) -> str | None:
    if not isinstance(answer, str):
        return f"{shown(answer)} is not a text; type {key}={_example(key, str(answer))}"
    reason = _why_no_answer(key, answer)
    return reason and f"{shown(answer)} {reason}; type {key}={_example(key, answer)}"


def _why_no_answer(key: str, answer: str) -> str | None:
    mark = next((mark for mark in MARKS if mark in answer), None)
    if mark:
        return f"holds {mark}, which begins a template"
    if key in CHOICES:
        return None if answer in CHOICES[key] else f"is not one of {', '.join(CHOICES[key])}"
    return _REASONS.get(key, _why_no_text)(answer)


def _why_no_text(answer: str) -> str | None:
    if "\0" in answer:
        return "holds a NUL character, which no text file may hold"
    if any("\ud800" <= letter <= "\udfff" for letter in answer):
        return "holds something that is not UTF-8"
    return None


def _why_no_project(answer: str) -> str | None:
    if not answer.strip():
        return "is empty, and it is the name of a folder"
    if _holds_control(answer):
        return "holds a control character"
    if re.search(r"[/\\]|\.\.", answer) or answer[0] in ".~":
        return "looks like a path, and it has to be a name (-o says in which folder it goes)"
    if not _DISTRIBUTION_NAME.fullmatch(answer):
        return (
            "is no name for a package (ASCII letters and digits, with - _ or . between them, "
            "as PEP 508 has it)"
        )
    if len(answer) > LONGEST_NAME:
        return f"has more than {LONGEST_NAME} characters"
    distribution = _DISTRIBUTIONS.get(_normal(answer))
    if distribution:
        return f"is the name of a package that the project installs ({distribution})"
    if answer.lower() in COMMANDS or re.fullmatch(r"(python|pip)[\d.]*", answer.lower()):
        return "is the name of a command that the project uses, and the project's own has its name"
    return None


def _why_no_module(answer: str) -> str | None:
    if not answer.strip():
        return "is empty, and it is the name of a Python package"
    if _holds_control(answer):
        return "holds a control character"
    if not answer.isidentifier():
        return "is not a Python name (letters, digits and _, and no digit first)"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", answer):
        return "is not in lower-case ASCII letters, digits and _, with a letter first"
    if keyword.iskeyword(answer):
        return "is a Python keyword"
    if answer in STANDARD_LIBRARY:
        return "is a module of Python's standard library"
    if answer in DEPENDENCIES:
        return f"is the import name of {DEPENDENCIES[answer]}, which the project installs"
    if answer in FOLDERS:
        return f"is the name of {FOLDERS[answer]}"
    if len(answer) > LONGEST_NAME:
        return f"has more than {LONGEST_NAME} characters"
    return None


_REASONS = {"project": _why_no_project, "module": _why_no_module}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


_DISTRIBUTIONS = {_normal(name): name for name in DEPENDENCIES.values()}


def _holds_control(answer: str) -> bool:
    return any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in answer)


def shown(answer: object) -> str:
    """An answer as a sentence quotes it: short, on one line, without control characters."""
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"


def _example(key: str, answer: str) -> str:
    """Something like the answer that could be typed in its place."""
    if key in CHOICES:
        return CHOICES[key][0]
    if key in TEXTS:
        return "... without it"
    dash = "-" if key == "project" else "_"
    words = re.findall(r"[a-z0-9]+", answer.lower())
    name = dash.join(words)[:40].rstrip(dash)
    examples = (name, f"{name}{dash}app", f"app{dash}{name}") if name else ()
    return next((text for text in examples if not _REASONS[key](text)), f"my{dash}app")
