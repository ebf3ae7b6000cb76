# Where the binary is from: `source` compiles it, `tarball` takes that of `make dist` in seconds.
ARG BINARY=source

FROM rust:1.95-bookworm AS source
WORKDIR /roomcast
ENV XDG_CACHE_HOME=/opt CARGO_TARGET_DIR=/opt/roomcast/target PATH=/opt/roomcast/bin:$PATH

# The same step as on a developer's machine: libclang from Debian, cmake from PyPI.
COPY Cargo.toml Cargo.lock ./
COPY scripts/setup scripts/
RUN scripts/setup && rm -rf /var/lib/apt/lists/*

# Dependencies in a layer of their own, built for an empty program: changing Roomcast's code does not
# compile LightGBM and Polars again. Cargo.toml names the benchmarks and the crates, so they must be there.
COPY benches benches
COPY crates/roomcast-faults/Cargo.toml crates/roomcast-faults/
COPY crates/roomcast-forecast/Cargo.toml crates/roomcast-forecast/
COPY crates/roomcast-python/Cargo.toml crates/roomcast-python/
COPY crates/roomcast-server/Cargo.toml crates/roomcast-server/
COPY crates/roomcast-simulate/Cargo.toml crates/roomcast-simulate/
COPY crates/roomcast-storage/Cargo.toml crates/roomcast-storage/
RUN mkdir src crates/roomcast-faults/src crates/roomcast-forecast/src crates/roomcast-python/src \
        crates/roomcast-server/src crates/roomcast-simulate/src crates/roomcast-storage/src \
    && touch crates/roomcast-faults/src/lib.rs crates/roomcast-forecast/src/lib.rs crates/roomcast-python/src/lib.rs \
        crates/roomcast-server/src/lib.rs crates/roomcast-simulate/src/lib.rs crates/roomcast-storage/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs && cargo build --release --locked --bins

# Copied files keep their own time, which may be older than the empty program's: cargo goes by it.
COPY . .
RUN touch src/main.rs crates/*/src/lib.rs && cargo build --release --locked --bins \
    && cp /opt/roomcast/target/release/roomcast /usr/local/bin/roomcast

FROM debian:bookworm-slim AS tarball
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY dist/roomcast-*-linux.tar.gz /tmp/
# It fails here if the tarball is of another kind of machine, or of a newer system than the image's.
RUN tar -C /usr/local --strip-components 1 -xf /tmp/roomcast-*-linux.tar.gz && roomcast --version

# hadolint ignore=DL3006
FROM ${BINARY} AS binary

FROM debian:bookworm-slim
# Roots of trust for TLS to the outside (s3://, brokers, databases): the slim image has none.
COPY --from=binary /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binary /usr/local/bin/roomcast /usr/local/bin/roomcast
COPY --chown=10001:10001 data/device_activations.csv /data/
RUN install -d -o 10001 -g 10001 /data /models

# Nothing is written outside /models and /data, so the root file system may be read-only.
# At run time: PRIVATE_TOKEN, a volume with readings, and other arguments if their file has another name. The input is an
# argument and no variable, so that `serve --store …` reads its store alone.
ENV ROOMCAST_MODELS=/models
VOLUME ["/models", "/data"]
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["roomcast", "healthcheck"]
ENTRYPOINT ["roomcast"]
CMD ["serve", "--input", "/data/device_activations.csv"]
