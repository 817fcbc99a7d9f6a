"""What is left to do when the files are written: offline, as often as one likes."""

import contextlib
import os
import shlex
import shutil
import sys
from pathlib import Path

MODULE = "<<cookiecutter.module>>"
DATABASE = "<<cookiecutter.database>>"
EMPTY_FOLDERS = "<<empty_folders()|join(':')>>"
TEMPLATE = "<<template_folder()>>"


def tidy(project, module, empty_folders):
    """Remove what cookiecutter leaves behind: folders without a file, and bytecode."""
    for folder in empty_folders:
        # one with a file in it is somebody's
        with contextlib.suppress(OSError):
            (project / folder).rmdir()
    for place in (module, "tests"):
        # a template that was tested where it lies brings its bytecode along
        for cache in list((project / place).rglob("__pycache__")):
            shutil.rmtree(cache, ignore_errors=True)


def write_wheel(project, template):
    """Put the library's wheel into vendor/, made from the template's own checkout."""
    sys.path.insert(0, template)
    try:
        from keel_answers import wheel
    finally:
        sys.path.remove(template)
    wheel.write(project / "vendor")


def make_var(project):
    """The databases' folder: empty, and not in git."""
    (project / "var").mkdir(exist_ok=True)


def make_executable(script):
    """Let those who may read the script run it; a zip archive drops the bit."""
    if script.is_file():
        mode = script.stat().st_mode
        script.chmod(mode | (mode & 0o444) >> 2)


def next_steps(project, module, database, shell_folder=None):
    """Say what to type next.

    shell_folder is where the user's shell is; the path is short when the project lies in it.
    """
    near = shell_folder and Path(shell_folder).resolve() == project.resolve().parent
    place = shlex.quote(project.name if near else str(project))
    lines = [f"cd {place}"]
    if database == "mysql":
        lines.append(f"export DEV_DATABASE_URL=mysql://USER:PASSWORD@localhost/{module}")
    lines += [
        "make db             # installs, and builds the development database",
        "make server         # serves the application on this machine",
        f"make newmigration   # after each change in {module}/models/",
    ]
    if not any((folder / ".git").exists() for folder in project.resolve().parents):
        lines.append('git init && git add . && git commit -m "As generated"')
    return "\n".join([f"{project.name} is ready. Next:", "", *(f"  {line}" for line in lines), ""])


def say(text):
    """Print, and do not mind who listens: cookiecutter deletes a project whose hook fails."""
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError:
        # python would complain once more when it leaves
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main():
    project = Path.cwd()
    tidy(project, MODULE, filter(None, EMPTY_FOLDERS.split(":")))
    write_wheel(project, TEMPLATE)
    make_var(project)
    make_executable(project / "bin" / "manage.py")
    say(next_steps(project, MODULE, DATABASE, os.environ.get("PWD")))


if __name__ == "__main__":
    main()
