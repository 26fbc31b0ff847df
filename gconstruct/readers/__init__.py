"""Readers of file formats. Every module here registers one: a new one is a new file."""

from gconstruct.readers.base import READ_ERRORS, Header, Piece, Reader, UnreadableError, reader_of, register

__all__ = ["READ_ERRORS", "Header", "Piece", "Reader", "UnreadableError", "reader_of", "register"]
