# One node of the demo, as a static binary that runs as nobody.
#   docker build -t hubwire-demo .
#   docker run --rm -p 8080:8080 hubwire-demo
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /demo ./cmd/demo

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /demo /demo
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/demo"]
CMD ["-node", "0.0.0.0:8080"]
