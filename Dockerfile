# The room in a container: not as root, with a read-only root, and with everything that it keeps in /data.
# docs/deploy.md says how to build and run it.

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/teamroom
COPY requirements.lock requirements-build.lock requirements-notify.lock requirements-postgres.lock ./
RUN /opt/teamroom/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock -r requirements-build.lock
RUN /opt/teamroom/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-notify.lock -r requirements-postgres.lock
COPY pyproject.toml README.md ./
COPY src src
COPY server server
COPY tools tools
COPY resources resources
COPY clients clients
RUN /opt/teamroom/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-build-isolation --no-deps .

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin teamroom && install -d -m 700 -o teamroom -g teamroom /data
COPY --from=build /opt/teamroom /opt/teamroom
ENV PATH=/opt/teamroom/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/data TEAMROOM_DATA=/data TEAMROOM_HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/livez', timeout=4)"]
ENTRYPOINT ["teamroom"]
CMD ["up", "--port", "8765"]
