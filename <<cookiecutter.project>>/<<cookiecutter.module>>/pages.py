<% if cookiecutter.starter == "blog" %>
"""The page that an error gets."""

from collections import deque
from itertools import islice

from flask import Blueprint, render_template, request
<% else %>
"""The first page, and the page that an error gets."""

from collections import deque
from itertools import islice

from flask import Blueprint, render_template, request
<% endif %>
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.sansio.response import Response as AnyResponse
from werkzeug.wrappers import Response

bp = Blueprint("pages", __name__)
<% if cookiecutter.starter != "blog" %>


@bp.get("/")
def index() -> str:
    """Say what is here and what to type next."""
    return render_template("index.html")
<% endif %>


@bp.app_errorhandler(HTTPException)
def error(raised: HTTPException) -> AnyResponse:
    """Show an error as a page that looks like the rest; its status and headers stay."""
    if raised.code == 413:  # a browser shows no answer while it still sends
        deque(islice(iter(lambda: request.environ["wsgi.input"].read(65536), b""), 1000), maxlen=0)
    response = raised.get_response()
    if raised.response or isinstance(raised, SecurityError):
        return response  # abort(response) has its own page, a host that is not ours gets none
    if isinstance(response, Response):
        response.set_data(render_template("error.html", error=raised))
    return response
