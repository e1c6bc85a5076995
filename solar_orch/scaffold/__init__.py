"""Distributions of one's own parts, written from templates: what ``solar-orch plugins new`` does."""
