"""Whole films: which energies acted from frame to frame, how far, and what none of them explains."""

from ergosum.temporal.film.explained import calibrate
from ergosum.temporal.film.read import (
    FilmReading,
    Stretch,
    read_as,
    read_film_moves,
    read_films,
    replay,
    transferred,
)

__all__ = ["FilmReading", "Stretch", "calibrate", "read_as", "read_film_moves", "read_films", "replay", "transferred"]
