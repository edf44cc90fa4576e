"""Judge the answers of the broker, of the site itself and of the push services."""

from datetime import timedelta
from statistics import median
from urllib.parse import urlsplit

from flask_babel import gettext, ngettext

from feedback_push import health
from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.doctor.network import REFUSED, Asked, Facts
from feedback_push.doctor.results import Result, ok, skipped, start, wrong
from feedback_push.http_client import Answer, Reason

_MOST_AHEAD = 60.0  # seconds; a token counts for 12 hours, but such a clock is not being set by anything
_EXPIRES_SOON = timedelta(days=14)
_MOST_CACHED = ("no-cache", "no-store", "max-age=0")
_SCRIPT_TYPES = ("text/javascript", "application/javascript")


def broker(facts: Facts) -> Result:
    """Check that the broker accepts messages."""
    if facts.broker is None:
        return ok("broker", gettext("The broker accepts messages."))
    text = gettext("The broker does not answer.")
    if facts.broker == health.REFUSES:
        text = gettext("The broker accepts no messages: it is full, or cannot save.")
    fix = gettext("Start Redis, give it memory and disk, and check REDIS_URL. Until then, notifications come later.")
    return wrong("broker", text, start(fix))


def site(facts: Facts) -> Result:
    """Check that SITE_URL leads to this site, as seen from this machine."""
    answer = facts.site.answer
    if answer is None:
        return wrong(
            "site",
            gettext("The site cannot be reached from here at SITE_URL: %(reason)s", reason=_reason(facts.site)),
            gettext("Start the web server. If it runs, check the proxy in front of it and the name in SITE_URL."),
        )
    if answer.status == 200 and b'"status"' in answer.body[:200]:
        return ok("site", gettext("The site answers at SITE_URL."))
    return wrong(
        "site",
        gettext("Something else answers at SITE_URL (HTTP status %(status)d).", status=answer.status),
        gettext("Check SITE_URL, and let the proxy pass on the path and the Host header unchanged."),
    )


def certificate(facts: Facts) -> Result:
    """Check the days that are left of the site's certificate."""
    if not current_settings().https:
        return skipped("certificate", gettext("The site is served without https."))
    fix = gettext("Renew the certificate, and let the proxy load it again.")
    if facts.site.reason == Reason.CERTIFICATE:
        return wrong("certificate", gettext("The certificate has expired, or is not trusted."), fix)
    if facts.site.answer is None or facts.site.answer.certificate is None:
        return skipped("certificate", gettext("The certificate could not be read."))
    start, end = facts.site.answer.certificate
    left = end - utcnow()
    text = ngettext(
        "The certificate is valid for %(num)d day.", "The certificate is valid for %(num)d days.", left.days
    )
    # A certificate for six days is renewed later than one for ninety.
    return wrong("certificate", text, fix) if left < min(_EXPIRES_SOON, (end - start) / 4) else ok("certificate", text)


def service_workers(facts: Facts) -> list[Result]:
    """Check that browsers would accept the service workers, as the proxy passes them on."""
    return [_service_worker(scope, asked.answer) for scope, asked in facts.scripts.items()]


def _service_worker(scope: str, answer: Answer | None) -> Result:
    if answer is None:
        return skipped("service_worker", gettext("It could not be loaded."), scope)
    if not (fault := _fault(scope, answer)):
        return ok("service_worker", gettext("Browsers can install it."), scope)
    fix = gettext("Let the proxy pass on this address and its headers unchanged: %(url)s", url=answer.url)
    return wrong("service_worker", fault, fix, scope)


def _fault(scope: str, answer: Answer) -> str:
    headers = answer.headers
    if answer.status != 200:
        return str(gettext("Its script answers with HTTP status %(status)d.", status=answer.status))
    if headers.get("content-type", "").partition(";")[0].strip() not in _SCRIPT_TYPES:
        return str(gettext("Its script does not have the type text/javascript, so browsers refuse it."))
    if not any(word in headers.get("cache-control", "") for word in _MOST_CACHED):
        return str(gettext("Its script may be cached, so browsers keep an old one."))
    widest = headers.get("service-worker-allowed") or urlsplit(answer.url).path.rpartition("/")[0] + "/"
    if not urlsplit(scope).path.startswith(widest):
        return str(gettext("Its scope is not below its script, so browsers refuse it."))
    return ""


def push_services(facts: Facts) -> list[Result]:
    """Check that each push service in use can be reached from this machine."""
    if not facts.services:
        return [skipped("push_service", gettext("No device uses a push service yet."))]
    return [_push_service(origin, asked) for origin, asked in facts.services.items()]


def _push_service(origin: str, asked: Asked) -> Result:
    if asked.answer:
        return ok("push_service", gettext("It can be reached."), origin)
    if asked.reason == REFUSED:
        return wrong(
            "push_service",
            gettext("Devices use this push service, but it is no longer allowed."),
            gettext("Add its host to PUSH_ALLOWED_HOSTS, and restart the web server and the workers."),
            origin,
        )
    return wrong(
        "push_service",
        gettext("It cannot be reached: %(reason)s", reason=_reason(asked)),
        gettext("Let the firewall pass connections to it on port 443, or set PUSH_PROXY. Check the name server."),
        origin,
    )


def clock(facts: Facts) -> Result:
    """Compare our clock with those of the push services: they refuse tokens that have expired or begin later."""
    ahead = [asked.ahead for asked in facts.services.values() if asked.ahead is not None]
    if not ahead:
        return skipped("clock", gettext("No push service has told its time."))
    seconds = round(median(ahead))
    if abs(seconds) <= _MOST_AHEAD:
        return ok("clock", gettext("The clock agrees with the push services."))
    text = (
        gettext("The clock is %(seconds)d seconds ahead.", seconds=seconds)
        if seconds > 0
        else gettext("The clock is %(seconds)d seconds behind.", seconds=-seconds)
    )
    return wrong("clock", text, gettext("Run: %(command)s", command="timedatectl set-ntp true"))


def _reason(asked: Asked) -> str:
    texts = {
        Reason.TIMEOUT: gettext("there was no answer in time."),
        Reason.UNKNOWN_HOST: gettext("the name is not known."),
        Reason.CERTIFICATE: gettext("its certificate has expired, or is not trusted."),
        Reason.CONNECTION: gettext("nothing listens there."),
        Reason.NOT_PUBLIC: gettext("its address is not public."),
        Reason.PROXY: gettext("the proxy in PUSH_PROXY does not connect to it."),
    }
    return str(texts.get(Reason(asked.reason)) or gettext("the answer cannot be read."))
