"""The template's questions: what an answer may be, and how it reaches the files.

cookiecutter imports this package from the template's folder, which it puts at the end of
`sys.path`: hence a name that no other package has, and not `hooks`.  It runs in the Python
that cookiecutter is installed in, which may be older than the project's.
"""
