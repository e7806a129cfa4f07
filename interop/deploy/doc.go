// Package deploy holds the files that deploy the demo (Dockerfile,
// docker-compose.yml, deploy/) against the schemas of Kubernetes and Compose,
// and plays what they promise with real processes: haproxy with its file of
// deploy/haproxy before two nodes, and a Redis with TLS. Kubernetes and Docker
// themselves are not needed, and not tried. It needs Node, haproxy and
// redis-server; kustomize is fetched by the go command.
package deploy
