"""Plans as pictures: graphs and timelines as SVG, DOT and PNG.

What lays out graphs and makes PNGs is an extra, and imported only where it is needed.
"""
