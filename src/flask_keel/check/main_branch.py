"""Which migrations are on the main branch already: what they do was decided there."""

import subprocess
from pathlib import Path


def new(folder: Path) -> set[str] | None:
    """Return the names of the migrations that the main branch has not, or has otherwise.

    The main branch is what the remote says it is (origin/HEAD); compared is with where this
    branch left it.

    :param folder: of the migrations
    :return: None when it cannot be told: no git, no remote, a clone without history
    """
    base = _git(folder, "merge-base", "HEAD", "origin/HEAD")
    if not base:
        return None
    changed = _git(folder, "diff", "--name-only", "-z", base[0].strip(), "--", "versions")
    others = _git(folder, "ls-files", "--others", "-z", "--", "versions")
    if changed is None or others is None:
        return None
    return {Path(name).name for name in changed + others}


def has(path: Path) -> bool:
    """Whether the main branch has a migration as it is; False when that cannot be told.

    :param path: of its file, in the folder ``versions``
    """
    path = path.resolve()
    names = new(path.parent.parent) if path.parent.name == "versions" else None
    return names is not None and path.name not in names


def _git(folder: Path, *arguments: str) -> list[str] | None:
    try:
        ran = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line for line in ran.stdout.split("\0") if line] if ran.returncode == 0 else None
