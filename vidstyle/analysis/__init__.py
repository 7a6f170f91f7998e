"""Measuring and showing: metrics, reports, previews, benchmarks."""
