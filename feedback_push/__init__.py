"""Feedback Push: a feedback inbox that notifies its owner by encrypted Web Push as soon as a visitor writes."""

from typing import TYPE_CHECKING

from feedback_push import installation

__version__ = installation.VERSION

if TYPE_CHECKING:
    from flask import Flask

    from feedback_push import config


def create_app(settings: "config.Settings | None" = None) -> "Flask":
    """Create the application from the given settings, or from the environment.

    Raise ConfigError, with a text that names the problems, if the settings cannot be used.
    """
    # Import here, so that a program that needs one part does not load them all.
    from flask import Flask

    from feedback_push import (
        branding,
        celery,
        cli,
        concurrency_limit,
        config,
        database,
        error_reports,
        errors,
        extensions,
        header_limits,
        language,
        logs,
        request_ids,
        security,
        site_path,
        static_files,
        tracing,
    )

    if settings is None and cli.needs_no_settings():
        app = Flask(__name__)
        cli.init_app(app)
        return app
    examined = config.examine() if settings is None and cli.runs_with_invalid_settings() else None
    settings = settings or (examined.settings if examined else config.load())
    app = Flask(__name__, template_folder=installation.ROOT / "templates", static_folder=installation.ROOT / "static")
    app.extensions["examined"] = examined
    app.extensions["settings"] = settings
    app.config["VERSION"] = __version__
    logs.init_app(app)
    request_ids.init_app(app)
    error_reports.init_app(app)
    tracing.init_app(app)
    security.init_app(app)
    static_files.init_app(app)
    site_path.init_app(app)
    header_limits.init_app(app)
    concurrency_limit.init_app(app)
    database.init_app(app)
    extensions.init_app(app)
    celery.init_app(app)
    errors.init_app(app)
    language.init_app(app)
    branding.init_app(app)
    _register_blueprints(app, settings)
    cli.init_app(app)
    return app


def _register_blueprints(app: "Flask", settings: "config.Settings") -> None:
    from feedback_push import admin, api, auth, branding, feedback, health, monitoring, push, security_txt, visitors

    app.register_blueprint(health.blueprint)
    app.register_blueprint(monitoring.blueprint)
    monitoring.init_app(app)
    app.register_blueprint(branding.blueprint)
    app.register_blueprint(security_txt.blueprint)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(push.blueprint)
    for blueprint in (*feedback.blueprints, *visitors.blueprints, *api.blueprints):
        app.register_blueprint(blueprint)
    app.register_blueprint(admin.blueprint, url_prefix=settings.admin_url.rstrip("/"))
