"""`python -m tests.api`: write the reference of docs/api.md."""

from pathlib import Path
from tempfile import TemporaryDirectory

from feedback_push import create_app
from feedback_push.api import description
from tests.api import reference
from tests.conftest import make_settings

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        app = create_app(make_settings("sqlite:///:memory:", "redis://127.0.0.1:1/0", Path(folder)))
        reference.bring_up_to_date(description.of_app(app))
