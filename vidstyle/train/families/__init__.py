"""Families of styles that are trained in their own way."""
