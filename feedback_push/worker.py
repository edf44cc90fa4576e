"""The Celery application of a worker, and `python -m feedback_push.worker`, which runs one."""

import sys

from feedback_push import celery, create_app
from feedback_push.push import sweeper

celery_app = sweeper.install(celery.for_worker(create_app()))


def main() -> int:
    """Run `celery worker` with the options of this process; return its exit code.

    The program `celery` would also search the working directory for modules.
    """
    return int(celery_app.start(["worker", *sys.argv[1:]]) or 0)


if __name__ == "__main__":
    sys.exit(main())
