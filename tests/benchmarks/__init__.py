"""What the README claims, measured. `python -m tests.benchmarks [NAME …]`; exit 1 when a figure is missed."""
