"""Dashboards as code: what they show is declared here, the JSON for Grafana is generated and committed."""
