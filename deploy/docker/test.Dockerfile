# The image of deploy/docker/Dockerfile with the tests on top, and nothing of it changed:
#   docker build -t darkroom -f deploy/docker/Dockerfile .
#   docker build -t darkroom-test -f deploy/docker/test.Dockerfile .
#   docker run --rm --network none darkroom-test tests/mocked
ARG IMAGE=darkroom

FROM python:3.13-slim AS tools
COPY deploy/requirements-dev.lock /tmp/
RUN python -m venv --without-pip /opt/tests \
 && python -m pip --python /opt/tests/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
    --only-binary :all: -r /tmp/requirements-dev.lock

# A name without a digest is meant: what was built a moment ago.
FROM ${IMAGE}
USER root
# Servers whose configurations are tested, servers that tests start for themselves, and a client.
RUN apt-get update \
 && apt-get install -y --no-install-recommends git nginx-light prometheus openssl iproute2 nodejs redis-server rabbitmq-server \
 && rm -rf /var/lib/apt/lists/*
COPY --from=tools /opt/tests /opt/tests
# The image's own packages are found first, what only tests need behind them.
RUN python -c "import sysconfig; print(sysconfig.get_path('purelib', vars={'base': '/opt/tests'}))" \
    >"$(python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/tests.pth"
COPY --chown=10001:10001 . /repository
# What is tested is what the image holds.
RUN chown 10001:10001 /repository \
 && for package in gateway pipeline stages storage; do ln -s "/app/$package" "/repository/$package"; done
WORKDIR /repository
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "pytest", "-p", "no:cacheprovider"]
CMD ["tests/mocked"]
