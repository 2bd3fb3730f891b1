# The image of the jobs on Kubernetes: `docker build --tag pig-benchmark:0.1.0 .`
FROM python:3.12-slim

WORKDIR /opt/pig
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY pig pig
COPY baselines baselines
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

# Each job installs Snakemake's storage plugins once more; let it find those of the lock here, and ask no package index.
RUN pip download --no-cache-dir --no-deps --dest /opt/wheels $(pip freeze | grep '^snakemake-storage-plugin-')
ENV PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_FIND_LINKS=/opt/wheels

# The code that came with the job goes before the image's own.
ENV PYTHONPATH=/workdir
WORKDIR /workdir
