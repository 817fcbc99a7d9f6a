"""The last door: nothing is written unless the answers were checked.

The checks are those of `keel_answers`, which cookiecutter runs while it asks and once more when
it names the project's folder.  A replay file that was edited may have lost them.
"""

import sys

CHECKED = "<<refuse_bad_answers() or 'yes' if refuse_bad_answers is defined else 'no'>>"


def main(checked):
    if checked == "yes":
        return 0
    print(
        "This replay file does not name the template's own checks (_extensions); "
        "run cookiecutter without --replay and answer the questions.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(CHECKED))
