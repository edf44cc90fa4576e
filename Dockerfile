# The whole site in one container, with its data in /data: docker run -p 8000:8000 -v feedback:/data feedback-push
# Another command runs one part of it, such as `feedback-push web`; compose.yaml shows them. docs/deploy.md explains both.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/run.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/feedback-push \
    && /opt/feedback-push/bin/python -m pip install --quiet --require-hashes -r requirements/run.txt
RUN python3 -m venv /opt/build \
    && /opt/build/bin/python -m pip install --quiet --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY static static
COPY templates templates
COPY feedback_push feedback_push
# Extras of the package, such as --build-arg EXTRAS=apprise,sentry. The lock has no versions for them.
ARG EXTRAS=
RUN /opt/build/bin/python -m hatchling build --target wheel --directory dist \
    && /opt/feedback-push/bin/python -m pip install --quiet --no-index --no-deps dist/*.whl \
    && { test -z "$EXTRAS" || /opt/feedback-push/bin/python -m pip install --quiet "feedback-push[$EXTRAS]"; } \
    && /opt/feedback-push/bin/python -m pip uninstall --quiet --yes pip

FROM ${BASE}
RUN groupadd --gid 10001 feedback \
    && useradd --uid 10001 --gid feedback --no-create-home --home-dir /data --shell /usr/sbin/nologin feedback \
    && install --directory --owner feedback --group feedback --mode 0700 /data
COPY --from=build /opt/feedback-push /opt/feedback-push
ENV PATH=/opt/feedback-push/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 INSTANCE_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-P", "-m", "feedback_push.web_server.health_check"]
CMD ["feedback-push", "run"]
