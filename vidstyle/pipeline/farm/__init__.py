"""Render farms: plan, render and join as separate commands, and engines of one machine or a cluster."""
