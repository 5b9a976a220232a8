"""Members of a tar from somewhere: what it says about them is read whole, so it has to be of a size that a name has."""

from __future__ import annotations

import tarfile
from typing import Self

from stripwatch.errors import BadInput

_LARGEST_NOTE = 1 << 20
"""About the member that follows: a long name, and what else pax can say."""
_NOTES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class Member(tarfile.TarInfo):
    """For `tarfile.open(..., tarinfo=Member)`; BadInput for a note that is larger."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _NOTES and member.size > _LARGEST_NOTE:
            raise BadInput(f"tar: expected notes of at most {_LARGEST_NOTE} bytes, got {member.size}")
        return member
