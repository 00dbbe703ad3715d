# The image for production, without compiler, pip, tests and root. Also for arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag your-site .
# The root file system may be read-only: docker run --read-only --tmpfs /tmp …
ARG PYTHON_IMAGE=python:3.11-slim

FROM $PYTHON_IMAGE AS build
# For `strip`, which removes 28 MB of debug symbols.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
RUN python3 -m venv --without-pip /environment
COPY requirements.lock ./
COPY requirements ./requirements
# startproject: write COPY vendor ./vendor
# Optional packages, for example: docker build --build-arg ALSO="-r requirements/aws.lock". SECRETS_FROM needs aws,
# gcp or azure, BACKUP_RECIPIENT backup, and OpenTelemetry and Sentry telemetry.
ARG ALSO=""
RUN python3 -m pip --python /environment/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
    -r requirements.lock $ALSO
COPY . /site
WORKDIR /site
# Languages without a catalogue whose formats are kept, for example: docker build --build-arg LANGUAGES=en,it
ARG LANGUAGES=""
# Compile the code, because the disk may be read-only in production. Column numbers would only take memory.
RUN export PYTHONNODEBUGRANGES=1 \
    # startproject: leave out
    && /environment/bin/python -m compileall -q --invalidation-mode unchecked-hash opportune \
    # startproject: go on
    # startproject: write && rm -r vendor \
    && /environment/bin/python -m compileall -q --invalidation-mode unchecked-hash app \
    && /environment/bin/python oppman.py compilemessages --quiet \
    && /environment/bin/python -m opportune.ops.deploy.slim /environment

FROM $PYTHON_IMAGE
# Hugging Face requires the user id 1000.
RUN useradd --uid 1000 --no-create-home site && install -d -o site /site/data
COPY --from=build /environment /environment
COPY --from=build /site /site
WORKDIR /site
USER site
# glibc otherwise reserves memory for each thread.
ENV PATH=/environment/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1 ENVIRONMENT=production
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health/live\", timeout=4)"]
# Without a shell, so that the server receives signals. It closes its streams and ends within 5 seconds.
CMD ["python", "oppman.py", "runserver", "--workers", "1", "--migrate"]
