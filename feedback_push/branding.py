"""The site's branding: its name for the templates, its logo, and a stylesheet with its accent colour."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from feedback_push import accent, branding_validators, installation, security, static_files
from feedback_push.config import Settings, current_settings

_OWN_ICON = installation.ROOT / "static" / "icons" / "icon.svg"
_OWN_ACCENT = "#0b6b57"

blueprint = Blueprint("branding", __name__)


@dataclass(frozen=True)
class Logo:
    """A picture with its media type."""

    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        """A short hash that changes with the picture."""
        return sha256(self.content).hexdigest()[:12]


@dataclass(frozen=True)
class Branding:
    """The site's name, colour and logo, named `site` in templates."""

    name: str
    accent: str
    home: str
    logo: Logo
    has_own_logo: bool

    @property
    def home_url(self) -> str:
        """The URL of the website that the form belongs to; the form's own if the operator has set none."""
        return self.home or url_for("feedback.form")

    @property
    def logo_url(self) -> str:
        """The URL of the logo, which changes with the picture."""
        return url_for("branding.logo", v=self.logo.version)

    @property
    def logo_width(self) -> int:
        """The width of the logo's box on visitors' pages; a wordmark needs more room than an icon.

        It is in pixels. The box is 56 pixels high.
        """
        return 224 if self.has_own_logo else 56

    @property
    def touch_icon_url(self) -> str:
        """The URL of the icon for an iPhone's Home Screen, which supports neither SVG nor WebP."""
        if self.has_own_logo and self.logo.media_type in ("image/png", "image/jpeg"):
            return self.logo_url
        return url_for("static", filename="icons/apple-touch-icon.png")

    @property
    def notification_icon_url(self) -> str:
        """The URL of the icon on notifications."""
        return self.logo_url if self.has_own_logo else url_for("static", filename="icons/icon-192.png")

    @property
    def theme_color(self) -> str:
        """The colour of the browser's own bars in the light colour scheme."""
        return accent.light(self.accent).button

    @property
    def dark_theme_color(self) -> str:
        """The colour of the browser's own bars in the dark colour scheme."""
        return accent.dark(self.accent).tint

    @property
    def theme_url(self) -> str:
        """The URL of the stylesheet, which changes with the colour."""
        return url_for("branding.theme", v=self.accent[1:])


def init_app(app: Flask) -> None:
    """Read the logo once, and add `site` to every template."""
    settings = current_settings(app)
    face = Branding(
        name=settings.site_name,
        accent=settings.site_accent,
        home=settings.site_home,
        logo=_logo(settings),
        has_own_logo=bool(settings.site_logo),
    )
    app.extensions["branding"] = app.jinja_env.globals["site"] = face


def current() -> Branding:
    """Return the branding of this site."""
    current: Branding = current_app.extensions["branding"]
    return current


@blueprint.get("/theme.css")
def theme() -> ResponseReturnValue:
    """Serve the accent colour's shades for site.css."""
    colour = current().accent
    css = render_template("theme.css", light=accent.light(colour), dark=accent.dark(colour))
    return _cached(Response(css, mimetype="text/css"), current=colour[1:])


@blueprint.get("/logo")
@security.picture  # type: ignore[untyped-decorator]
def logo() -> ResponseReturnValue:
    """Serve the site's logo."""
    picture = current().logo
    return _cached(Response(picture.content, mimetype=picture.media_type), current=picture.version)


def _cached(response: Response, current: str) -> Response:
    # Without the current version, the same URL may return something else tomorrow.
    is_current = request.args.get("v") == current
    response.headers["Cache-Control"] = static_files.cache_control(immutable=is_current)
    static_files.compressed(response).add_etag()
    response.make_conditional(request)
    return response


def _logo(settings: Settings) -> Logo:
    if not settings.site_logo:
        colour = accent.light(settings.site_accent).button
        return Logo(_OWN_ICON.read_bytes().replace(_OWN_ACCENT.encode(), colour.encode()), "image/svg+xml")
    content = Path(settings.site_logo).read_bytes()
    return Logo(content, branding_validators.picture_type(content))
