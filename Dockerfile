# PostgreSQL's official image with ruvector_dag preloaded and created in the database it makes.
#   docker build --tag postgres-ruvector-dag .
#   docker run --env POSTGRES_PASSWORD=secret postgres-ruvector-dag
ARG RUST=rust:1.95-bookworm
ARG POSTGRES=postgres:15-bookworm

FROM ${RUST} AS build
WORKDIR /source
COPY . .
# Installs what the build needs from Debian, and lays the files out as an installed server has them.
RUN cargo xtask package --to /package

FROM ${POSTGRES}
COPY --from=build /package/ /
RUN echo 'CREATE EXTENSION ruvector_dag;' > /docker-entrypoint-initdb.d/ruvector_dag.sql
# postgres, as a number: so that who runs it can tell that it is not root.
USER 999
CMD ["postgres", "-c", "shared_preload_libraries=ruvector_dag"]
