"""What git says of the migrations: which are on the main branch, and which on another one.

Nothing, where there is no git.
"""

import os
import subprocess
from pathlib import Path


def run(folder: Path, *arguments: str) -> list[str] | None:
    """Return what a git command prints, parted at its NUL characters; None when it fails.

    :param folder: in which it runs
    """
    try:
        ran = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [part for part in ran.stdout.split("\0") if part] if ran.returncode == 0 else None


def not_on_main_branch(*folders: str | Path) -> set[str] | None:
    """Return the names of the migrations that the main branch has not, or has otherwise.

    The main branch is what the remote says it is (origin/HEAD); compared is with where this
    branch left it.

    :param folders: in which the migrations' files are
    :return: None when it cannot be told: no git, no remote, a clone without history
    """
    paths = [str(Path(folder).resolve()) for folder in folders]
    here = Path(paths[0])
    # in the middle of a merge the files of both sides are there
    found = [_changed_since(here, tip, paths) for tip in ("HEAD", "MERGE_HEAD")]
    others = run(here, "ls-files", "--others", "-z", "--", *paths)
    if found[0] is None or others is None:
        return None
    changed = found[0] if found[1] is None else found[0] & found[1]
    return changed | {Path(name).name for name in others}


def _changed_since(here: Path, tip: str, paths: list[str]) -> set[str] | None:
    """The names of the files that are not as where one side left the main branch."""
    base = run(here, "merge-base", tip, "origin/HEAD")
    changed = base and run(here, "diff", "--name-only", "-z", base[0].strip(), "--", *paths)
    return {Path(name).name for name in changed} if changed is not None else None


# what git does when it has stopped at a conflict, by the name that stands for it meanwhile
STOPPED = {"MERGE_HEAD": "merge", "REBASE_HEAD": "rebase", "CHERRY_PICK_HEAD": "cherry-pick"}


def stopped(folder: Path) -> str | None:
    """Return which command of git's waits for a conflict to be solved: "merge", "rebase" ..., or None."""
    for name, command in STOPPED.items():
        if run(folder, "rev-parse", "--quiet", "--verify", name):
            return command
    return None


def main_branch_has(path: Path) -> bool:
    """Whether the main branch has a migration as it is; False when that cannot be told.

    :param path: of its file
    """
    path = path.resolve()
    names = not_on_main_branch(path.parent)
    return names is not None and path.name not in names


def where_is(folder: Path, revision: str) -> str | None:
    """Say which branch has a migration that the working tree has not, and what brings its file here.

    :param folder: of the migrations
    :param revision: looked for in the files' names, as Alembic makes them
    """
    log = ("log", "--all", "-1", "--diff-filter=AM", "--format=%h", "--name-only", "-z")
    found = run(folder, *log, "--", f"*{revision}*.py")
    top = run(folder, "rev-parse", "--show-toplevel")
    if not found or len(found) < 2 or not top:
        return None
    commit, name = found[0].strip(), found[1].strip()
    branches = run(folder, "branch", "--all", "--contains", commit, "--format=%(refname:short)")
    branch = branches[0].split("\n")[0] if branches else ""
    file = os.path.relpath(Path(top[0].strip()) / name)
    where = f"branch {branch} has it (commit {commit})" if branch else f"commit {commit} has it"
    return f"{where}: type git checkout {commit} -- {file}"
