"""The page with the lines that put a form on another site, a preview, and the sites that have loaded it."""

from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from feedback_push.admin.pages import blueprint, page
from feedback_push.auth.roles import owners_only
from feedback_push.config import current_settings
from feedback_push.feedback import form_description, form_loads, origins, site_forms
from feedback_push.feedback.form_models import Form
from feedback_push.site_path import absolute_url

_LINK = Markup('<a href="{address}">Feedback</a>')
_SCRIPT = Markup('<script type="module" src="{script}"></script>')


@blueprint.get("/forms/<form_key:key>/add")
@owners_only
def add_to_site(key: str) -> ResponseReturnValue:
    """Show how to put a form on another site, and where it works already."""
    form = site_forms.find(key) or abort(404)
    loads = [(origin, day, origins.allows(form, origin)) for origin, day in form_loads.recent(form)]
    site = current_settings().site_origin
    return page("admin/add_to_site.html", form=form, loads=loads, snippets=_snippets(form), site_origin=site)


def _snippets(form: Form) -> dict[str, str]:
    """Return the lines for a page of another site by the way in which they show the form."""
    script, address = absolute_url("embed.script"), absolute_url("plain_form.show", key=form.key)
    link = _LINK.format(address=address)
    loader = _SCRIPT.format(script=script)
    element = Markup('<feedback-form form="{key}"{inline}>{link}</feedback-form>\n{loader}')
    lines = {
        "corner": Markup('<script type="module" src="{}" data-form="{}"></script>').format(script, form.key),
        "button": element.format(key=form.key, inline="", link=link, loader=loader),
        "inline": element.format(key=form.key, inline=" inline", link=link, loader=loader),
        "link": link,
        "plain": _plain(form, address),
    }
    return {name: str(text) for name, text in lines.items()}  # as texts, which the page escapes


def _plain(form: Form, address: str) -> str:
    described = form_description.of(form)
    lines = [_field(field) for field in described["fields"]]
    trap = '<p hidden><label>Leave this empty <input name="website" tabindex="-1" autocomplete="off"></label></p>'
    button = Markup("<button>{}</button>").format(described["button"])
    body = "".join(f"  {line}\n" for line in [*lines, trap, button])
    return f'<form method="post" action="{escape(address)}">\n{body}</form>'


def _field(field: dict[str, Any]) -> Markup:
    required = Markup(" required") if field["required"] else ""
    if field["choices"]:
        choices = [("", field["placeholder"]), *((each["value"], each["label"]) for each in field["choices"])]
        options = Markup("").join(Markup('<option value="{}">{}</option>').format(*each) for each in choices)
        entry = Markup('<select name="{}">{}</select>').format(field["name"], options)
    elif field["kind"] == "long-text":
        entry = Markup('<textarea name="{}"{}></textarea>').format(field["name"], required)
    else:
        entry = Markup('<input name="{}" type="{}"{}>').format(field["name"], field["kind"], required)
    return Markup("<p><label>{} {}</label></p>").format(field["label"], entry)
