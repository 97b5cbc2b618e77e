"""The version of this tree; build.py writes the one it builds."""

__version__ = "1.1.0"
