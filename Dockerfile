# The target and its companion. In a clone: docker build --tag target-pinterest-audience .
# The image needs no home directory, no name for its user, and no writable place but /state; with a ledger in PostgreSQL,
# not even that.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir "uv>=0.9"
ENV UV_NO_CACHE=1
COPY . /src
# Without git, the version is an argument: --build-arg VERSION=0.1.0
ARG VERSION
RUN python -m venv /opt/target \
 && SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" uv pip install --compile-bytecode --python /opt/target \
    --constraint /src/requirements.lock "/src[notify,parquet,phone,postgres]"

FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner 10001 --group 0 --mode 0770 /state
COPY --from=build /opt/target /opt/target
ENV PATH=/opt/target/bin:$PATH PYTHONDONTWRITEBYTECODE=1 XDG_STATE_HOME=/state
WORKDIR /pipeline
VOLUME /state
# A number, so that Kubernetes can check that it is not root. The group lets OpenShift's users write to /state.
USER 10001:0
ENTRYPOINT ["tini", "-g", "--"]
CMD ["target-pinterest-audience", "--config", "ENV"]
