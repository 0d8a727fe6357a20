# docker build -t pinegate .
# docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 60 --ulimit nofile=65536 \
#     -p 8443:8443 -p 127.0.0.1:9464:9464 --tmpfs /run/pinegate:uid=65532,gid=65532,mode=0700 \
#     -v ./gate:/etc/pinegate:ro -v pinegate-audit:/var/lib/pinegate pinegate
#
# ./gate holds what `pinegate init gate` writes, and certificates, with `listen` and `metrics` on 0.0.0.0, `[audit] directory` under
# /var/lib/pinegate and `[admin] socket` under /run/pinegate. The volume is for the audit log: it must outlive the container.
# Nothing else is written.
#
# Made so that the same commit, with its time and name, on the same two bases by digest gives the same image (BuildKit 0.11 or later).
# docs/install.md says how to see that it did, and that an image is of a commit.
#
#     docker build --no-cache --provenance=false --build-arg RUST=rust@sha256:… --build-arg DEBIAN=debian@sha256:… \
#         --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --build-arg REVISION=$(git rev-parse HEAD) -t pinegate .

ARG RUST=rust:1-bookworm
ARG DEBIAN=debian:bookworm-slim

FROM ${RUST} AS build
# Before the program is built: the C compiler takes it for `__DATE__`, which the allocator has in a message.
ARG SOURCE_DATE_EPOCH=0
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY policies policies
COPY benches benches
# No path of the machine that built it stands in the program.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    RUSTFLAGS="--remap-path-prefix=/build=pinegate --remap-path-prefix=/usr/local/cargo=cargo" \
    cargo build --locked --profile dist --bin pinegate \
    && install -D -m 0755 target/dist/pinegate /image/usr/bin/pinegate \
    && install -d -o 65532 -g 65532 -m 0700 /image/var/lib/pinegate /image/run/pinegate
COPY LICENSE config/gateway.toml /image/usr/share/doc/pinegate/
COPY policies /image/usr/share/doc/pinegate/policies
# A clone has the times at which it was made, and the modes of the umask it was made under: neither is the image's.
RUN chmod -R u=rwX,go=rX /image/usr \
    && find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pinegate" \
      org.opencontainers.image.description="The gate between a city's department systems and its data exchange platform" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /var/lib/pinegate
VOLUME /var/lib/pinegate
EXPOSE 8443 9464
STOPSIGNAL SIGTERM
# `[metrics] address` is on port 9464; HEALTH_PORT names another.
ENV HEALTH_PORT=9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m --retries=3 \
    CMD ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${HEALTH_PORT} && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["/usr/bin/pinegate"]
CMD ["run", "--config", "/etc/pinegate/gateway.toml"]
