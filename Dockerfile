# syntax=docker/dockerfile:1

# What builds stays here: pip, its cache, and a compiler where one is ever needed.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/relay
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/relay/bin/python install --disable-pip-version-check '.[postgresql]'

FROM python:3.13-slim
COPY --from=build /opt/relay /opt/relay
# By number, for which no account has to exist; a new volume takes owner and mode from here.
RUN install -d -o 10001 -g 10001 -m 700 /data
ENV DATA_DIR=/data \
    HEALTH_PORT=8080 \
    HOME=/data \
    LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/relay/bin/python", "-c", "import http.client, os, sys; ask = http.client.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=5); ask.request('GET', '/healthz'); sys.exit(ask.getresponse().status != 200)"]
ENTRYPOINT ["/opt/relay/bin/telegram-signal-relay"]
