# What production runs, and nothing else: no compiler, no pip, no tests, not root. For arm64 too:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag your-site .
# Nothing needs the root file system to be writable: docker run --read-only --tmpfs /tmp …
ARG PYTHON_IMAGE=python:3.11-slim

FROM $PYTHON_IMAGE AS build
# For `strip`: debug symbols are 28 MB of the libraries.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
RUN python3 -m venv --without-pip /environment
COPY requirements.lock requirements-aws.lock requirements-azure.lock requirements-backup.lock requirements-gcp.lock \
    requirements-telemetry.lock ./
# With SECRETS_FROM=aws:… in production: docker build --build-arg ALSO="-r requirements-aws.lock" (or -gcp, -azure);
# with BACKUP_RECIPIENT "-r requirements-backup.lock"; with OpenTelemetry or Sentry "-r requirements-telemetry.lock".
ARG ALSO=""
RUN python3 -m pip --python /environment/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
    -r requirements.lock $ALSO
COPY . /site
WORKDIR /site
# The site's own bytecode, for starts on a disk that nobody may write; of the libraries what the site reaches. Without the
# columns of its lines, which tracebacks could underline and memory would hold.
RUN export PYTHONNODEBUGRANGES=1 \
    && /environment/bin/python -m compileall -q --invalidation-mode unchecked-hash app opportune \
    && /environment/bin/python -m opportune.ops.deploy.slim /environment

FROM $PYTHON_IMAGE
# 1000 is the user that Hugging Face insists on; to other hosts any but root is as good.
RUN useradd --uid 1000 --no-create-home site && install -d -o site /site/data
COPY --from=build /environment /environment
COPY --from=build /site /site
WORKDIR /site
USER site
# glibc would keep memory apart for each thread.
ENV PATH=/environment/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1 ENVIRONMENT=production
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health/live\", timeout=4)"]
# No shell in between: signals reach the server, which ends its streams and itself within 5 seconds.
CMD ["python", "oppman.py", "runserver", "--workers", "1", "--migrate"]
