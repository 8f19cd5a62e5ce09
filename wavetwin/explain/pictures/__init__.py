"""Draw plain shapes as SVG or PNG, legible in grey and for colour-blind people.

Standard library only, but for the PNG renderer, which takes Pillow when it is asked for a PNG.
"""
