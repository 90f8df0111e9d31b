# docker build -t automc-router .   (after: bun run release linux-amd64-glibc linux-arm64-glibc)
FROM debian:12-slim
ARG TARGETARCH=amd64
# The archive is unpacked: the program and its licence.
ADD dist/release/automc-router-*-linux-${TARGETARCH}-glibc.tar.gz /opt/automc-router/
RUN install --directory --owner=65532 --group=65532 /var/lib/automc-router /run/automc-router
ENV PATH=/opt/automc-router:/usr/bin:/bin \
    STATE_DIRECTORY=/var/lib/automc-router \
    RUNTIME_DIRECTORY=/run/automc-router
USER 65532:65532
VOLUME /var/lib/automc-router
EXPOSE 25565
# A drain lasts up to AUTOMC_DRAIN_TIMEOUT (30 s); give docker stop more time than that: --stop-timeout 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s CMD ["automc-router", "status"]
ENTRYPOINT ["automc-router"]
