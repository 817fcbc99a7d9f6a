"""What is wrong with the history, in sentences: Alembic's own name no file and nothing to type."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.script.revision import CycleDetected, MultipleHeads, ResolutionError
from alembic.util import CommandError, to_tuple

from . import history, messages

# Alembic warns of these, and goes on until something else fails
TWICE = re.compile(r"Revision (\S+) is present more than once")
MISSING = re.compile(r"Revision (\S+) referenced from .* is not present")
STEPS = re.compile(r"Relative revision (\S+) didn't produce")


@contextmanager
def told() -> Iterator[None]:
    """Turn what Alembic only warns of into errors."""
    with warnings.catch_warnings():
        for pattern in (TWICE, MISSING):
            warnings.filterwarnings("error", pattern.pattern, UserWarning)
        yield


def sentence(error: BaseException) -> str | None:
    """Return what an error says of the history, None when it is not about that."""
    cause = error.__cause__ if isinstance(error, CommandError) else error
    said = str(error)
    if isinstance(cause, MultipleHeads):
        return history.two_heads(ScriptDirectory(str(history.folder())), cause.heads)
    if isinstance(cause, CycleDetected):
        files = _files(lambda script: script.revision in cause.revisions)
        return messages.CYCLE.format(files=files)
    if isinstance(cause, ResolutionError) and "locate" in said:
        return messages.NO_SUCH_REVISION.format(revision=cause.argument)
    if found := TWICE.match(said):
        files = _files(lambda script: script.revision == found[1])
        return messages.TWICE.format(revision=found[1], files=files)
    if found := MISSING.match(said):
        files = _files(lambda script: found[1] in _on_which_it_stands(script))
        return messages.MISSING.format(revision=found[1], files=files)
    if found := STEPS.match(said):
        return messages.TOO_FAR.format(step=found[1])
    return None


def _files(wanted: Callable[[Script], bool]) -> str:
    # one by one, since the whole cannot be put in order
    scripts = ScriptDirectory(str(history.folder()))._load_revisions()
    return " and ".join(sorted(Path(script.path).name for script in scripts if wanted(script)))


def _on_which_it_stands(script: Script) -> tuple[str, ...]:
    return (*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ()))
