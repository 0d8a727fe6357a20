# docker build -t pinegate .
#
# docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -p 8443:8443 -p 9464:9464 \
#     -v ./gate:/etc/pinegate:ro -v pinegate-audit:/var/lib/pinegate pinegate
#
# ./gate holds gateway.toml, certs/ and policies/, with `listen` and `metrics` on 0.0.0.0 and, since
# /etc/pinegate is read-only, `[audit] directory` and `[admin] socket` under /var/lib/pinegate.
#
# The volume is for the audit log: it must outlive the container. Nothing else is written.

FROM rust:1-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY policies policies
COPY benches benches
RUN cargo build --locked --profile dist --bin pinegate

FROM debian:bookworm-slim
COPY --from=build /build/target/dist/pinegate /usr/local/bin/pinegate
COPY LICENSE /usr/share/doc/pinegate/LICENSE
COPY config/gateway.toml /usr/share/doc/pinegate/examples/config/gateway.toml
COPY policies /usr/share/doc/pinegate/examples/policies
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/pinegate
USER 65532:65532
WORKDIR /var/lib/pinegate
VOLUME /var/lib/pinegate
EXPOSE 8443 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pinegate"]
CMD ["run", "--config", "/etc/pinegate/gateway.toml"]
