"""Dashboards for Grafana and Chronograf, made from the definitions of metrics and tests."""
