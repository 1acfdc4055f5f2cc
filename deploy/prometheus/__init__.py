"""Alert rules, and the files by which Prometheus finds the workers of this machine."""
