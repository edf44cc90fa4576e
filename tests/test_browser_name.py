"""browser_name.py: name the browser and the system of a User-Agent."""

import pytest
from flask import Flask
from flask_babel import force_locale

from feedback_push import browser_name

_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0", "Firefox on Android"),
        (f"{_IPHONE} FxiOS/153.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (_WINDOWS, "Chrome on Windows"),
        (f"{_WINDOWS} Edg/142.0.0.0", "Edge on Windows"),
        (f"{_WINDOWS} OPR/125.0.0.0", "Opera on Windows"),
        (f"{_ANDROID} Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{_ANDROID} Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0", "Edge on Android"),
        (f"{_ANDROID} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        (f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{_IPHONE} CriOS/142.0.0.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (_IPHONE.replace("iPhone; CPU iPhone", "iPad; CPU") + " Version/18.5 Safari/604.1", "Safari on iPad"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/142.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.9", "Browser"),
        ("something on Linux", "Browser on Linux"),
        ("", "Browser"),
        ("\x00\ud800 é", "Browser"),
    ],
)
def test_a_browser_gets_the_name_people_know_it_by(user_agent: str, name: str) -> None:
    assert browser_name.guess(user_agent) == name


@pytest.mark.parametrize(
    ("name", "german", "lithuanian"),
    [
        ("Firefox on Linux", "Firefox auf Linux", "Firefox (Linux)"),
        ("Browser on iPhone", "Browser auf iPhone", "Naršyklė (iPhone)"),
        ("Browser", "Browser", "Naršyklė"),
        ("Samsung Internet", "Samsung Internet", "Samsung Internet"),
        ("The laptop on Linux", "The laptop on Linux", "The laptop on Linux"),
        ("Firefox on the desk", "Firefox on the desk", "Firefox on the desk"),
        ("%(browser)s on %", "%(browser)s on %", "%(browser)s on %"),
        ("", "", ""),
    ],
)
def test_a_guess_is_read_in_ones_own_language_and_a_chosen_name_as_it_was_chosen(
    app: Flask, name: str, german: str, lithuanian: str
) -> None:
    read = {}
    for language in ("en", "de", "lt"):
        with app.app_context(), force_locale(language):
            read[language] = browser_name.localized(name)
    assert read == {"en": name, "de": german, "lt": lithuanian}
