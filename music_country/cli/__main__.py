"""``python -m music_country.cli``."""

from music_country.cli import main

main()
