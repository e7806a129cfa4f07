// Package deploy holds the files that deploy the demo (Dockerfile,
// docker-compose.yml, deploy/kubernetes) against the schemas of Kubernetes and
// Compose, without either of them: it needs Node.
package deploy
