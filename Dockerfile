# The image for production, without compiler, pip, tests and root. Also for arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag your-site .
# The root file system may be read-only: docker run --read-only --tmpfs /tmp …
ARG PYTHON_IMAGE=python:3.11-slim

FROM $PYTHON_IMAGE AS build
# For `strip`, which removes 40 MB of debug symbols.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
# Column numbers in bytecode would only take memory.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONNODEBUGRANGES=1
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
# Cut the typeface before fontTools is removed, and the style sheets, which the server could not write.
RUN /environment/bin/python oppman.py compilemessages --quiet \
    # startproject: write && rm -r vendor \
    && /environment/bin/python -c "from opportune.web.rendering.warm_up import cut_files; cut_files()" \
    && /environment/bin/python -m opportune.contrib.deploy.sbom > /environment/sbom.cdx.json
# Languages without a catalogue whose formats are kept, for example: docker build --build-arg LANGUAGES=en,it
ARG LANGUAGES=""
RUN languages=$(/environment/bin/python -c \
        "from opportune.config import get_settings; site = get_settings(); print(site.language, *site.languages)") \
    && catalogues=$(find . /environment -path "*/locale/*/messages.*o" | sed "s|.*/locale/||") \
    && kept=$(echo root en $languages $catalogues | tr " " "\n" | sed "s|[-_/].*||" | paste -s -d "|") \
    && cd /environment/lib/python3*/site-packages \
    && find babel/locale-data -name "*.dat" | grep -Ev "/($kept)[_.]" | xargs rm \
    && rm -rf fontTools */tests alembic/testing sqlalchemy/testing \
    && find . "(" -name "*.[ach]" -o -name "*.p[xy][dix]" ")" -not -path "./opportune/*" -delete \
    && find . -name "*.so*" -type f -exec strip --strip-unneeded {} +
# Compile the code, because the disk may be read-only in production.
RUN /environment/bin/python -m compileall -q --invalidation-mode unchecked-hash /environment/lib .

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
