"""Manifests for Kubernetes: a kustomize base written from the catalogue, and overlays for small and large."""
