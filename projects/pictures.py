"""QR codes, as the path of an SVG that a template writes: no `data:` image, which the policy forbids."""

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

# ISO/IEC 18004 asks for so many light modules around the code, or a camera may miss it.
_QUIET_ZONE: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class QRPicture:
    """A square of `size` modules a side, and the path over the dark ones. No error report shows it."""

    size: int
    path: str


def qr_picture(secret_text: str) -> QRPicture:
    """Return the QR code of a text, with its quiet zone."""
    code: QRCode[object] = QRCode(error_correction=ERROR_CORRECT_M, border=_QUIET_ZONE)
    code.add_data(secret_text)
    code.make(fit=True)
    matrix = code.get_matrix()
    return QRPicture(len(matrix), "".join(_runs(row, y) for y, row in enumerate(matrix)))


def _runs(row: list[bool], y: int) -> str:
    """Return the dark modules of a row as rectangles, those that touch as one."""
    path, x = "", 0
    for dark, modules in groupby(row):
        length = len(list(modules))
        if dark:
            path += f"M{x} {y}h{length}v1h-{length}z"
        x += length
    return path
