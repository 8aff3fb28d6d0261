# calwatch in a container: docs/container.md.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t calwatch .
#
# Debian's own Python, so that its security updates come with the distribution's. To pin the base to the
# byte, give its digest: --build-arg BASE=debian:12.12-slim@sha256:…
ARG BASE=debian:12.12-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# Everything that calwatch needs, pinned and hashed by the lock files.
FROM python AS packages
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /build
COPY requirements-bootstrap.txt requirements.txt ./
RUN python3 -m venv /opt/bootstrap \
    && /opt/bootstrap/bin/pip install --no-cache-dir --require-hashes -r requirements-bootstrap.txt
# Byte code is valid by the content of its source: times do not survive the layers of an image.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN /usr/bin/python3 -m venv --without-pip /opt/calwatch \
    && /opt/bootstrap/bin/uv pip install --no-cache --link-mode copy --compile-bytecode \
        --python /opt/calwatch/bin/python --require-hashes -r requirements.txt

# calwatch itself, and its kernels compiled for a kind of processor rather than for this machine.
FROM packages AS build
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY src src
RUN /opt/bootstrap/bin/uv build --wheel --no-build-isolation --python /opt/bootstrap/bin/python \
        --out-dir dist . \
    && /opt/bootstrap/bin/uv pip install --no-cache --link-mode copy --compile-bytecode \
        --python /opt/calwatch/bin/python --no-deps dist/*.whl
# "x86-64-v3 x86-64-v4" for both, on a machine with AVX-512: code is compiled by being run.
ARG KERNEL_CPUS=x86-64-v3
RUN for cpu in ${KERNEL_CPUS}; do \
        /opt/calwatch/bin/calwatch warm-up /opt/calwatch/kernels --cpu "${cpu}" || exit 1; \
    done

FROM python AS calwatch
# No account of Debian's and no user of a shared file system has this number; the chart has it, too.
RUN groupadd --gid 10123 calwatch \
    && useradd --uid 10123 --gid calwatch --no-create-home --home-dir /var/lib/calwatch \
        --shell /usr/sbin/nologin calwatch \
    && install --directory --owner calwatch --group calwatch --mode 0750 /var/lib/calwatch
COPY --from=build /opt/calwatch /opt/calwatch
COPY config /usr/share/calwatch/config
ENV PATH=/opt/calwatch/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CALWATCH_KERNELS=/opt/calwatch/kernels \
    NUMBA_CACHE_DIR=/tmp/calwatch-kernels
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="calwatch" \
      org.opencontainers.image.description="Watches the calibrations of the Rubin Observatory cameras." \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10123:10123
WORKDIR /var/lib/calwatch
VOLUME ["/var/lib/calwatch"]
# The page; metrics and health.
EXPOSE 8080 9188
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["calwatch", "health"]
ENTRYPOINT ["calwatch"]
CMD ["run", "--config", "/etc/calwatch/calwatch.yaml"]
