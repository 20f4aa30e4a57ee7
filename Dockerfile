# syntax=docker/dockerfile:1
# The project with its packages, for an ordinary user: `docker build -t gahb .`, and on a machine with NVIDIA GPUs
# `docker build --build-arg BUILD=cuda -t gahb .`. Apptainer takes the same image. docs/running.md says how to run it.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm

# Of the two builds of torch that constraints.txt fits: `cpu` needs 1 GB, `cuda` 7 GB.
ARG BUILD=cpu

# git for DVC, make, a compiler for torch.compile
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ git make \
 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 gahb
USER gahb
WORKDIR /home/gahb/project

# The packages first: they change less often than the code.
COPY --chown=gahb pyproject.toml constraints.txt README.md LICENSE Makefile ./
COPY --chown=gahb src/gahb/version.py src/gahb/__init__.py src/gahb/__init__.pyi src/gahb/
RUN --mount=type=cache,target=/home/gahb/.cache,uid=1000 \
    python -m venv .venv && touch .venv/.gahb \
 && if [ "$BUILD" = cpu ]; then \
        .venv/bin/python -m pip install --constraint constraints.txt uv \
     && .venv/bin/uv pip install --constraint constraints.txt --torch-backend cpu torch; \
    fi \
 && make setup

COPY --chown=gahb . .
RUN make setup
ENV PATH=/home/gahb/project/.venv/bin:$PATH
CMD ["make"]
