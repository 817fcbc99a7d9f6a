"""What browsers are told, what a form must bring along, and how many proxies are believed."""

from flask import Flask
from flask_talisman import Talisman
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

# the pages keep to it: no script or style within a page, nothing from another host
CONTENT_SECURITY_POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}


def init_app(app: Flask) -> None:
    """Set the headers of each answer, ask each form for its token, and believe PROXIES proxies."""
    if proxies := app.config.get("PROXIES"):
        proxied = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
        app.wsgi_app = proxied  # type: ignore[method-assign]
    CSRFProtect(app)
    Talisman(
        app,
        content_security_policy=CONTENT_SECURITY_POLICY,
        frame_options="DENY",
        permissions_policy={"camera": "()", "geolocation": "()", "microphone": "()"},
        force_https=False,  # the proxy in front does that
        session_cookie_secure=False,  # prod.conf says it
    )
