"""Detection quality as numbers and a picture: the shipped `judge`, played over blips, outages and gray failures.

`make quality` runs `python -m tests.quality`; exit 1 when a figure is missed. Random numbers come from one seed.
"""
