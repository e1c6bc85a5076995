"""SVG turned into PNG, by resvg."""

from __future__ import annotations

from solar_orch.errors import PictureError
from solar_orch.pictures.extra import load

_PROBE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20" font-family="{fonts}">'
    '<text y="15" font-size="15">{text}</text></svg>'
)


def png(document: str) -> bytes:
    """The picture as PNG, one pixel for each of the SVG.

    :raises MissingExtra: if resvg is not there
    :raises PictureError: if this machine has no font to write with, or the picture is too large
    """
    resvg = load("resvg_py")
    fonts = document.partition(' font-family="')[2].partition('"')[0]
    written, blank = (resvg.svg_to_bytes(svg_string=_PROBE.format(fonts=fonts, text=t)) for t in ("M", ""))
    if written == blank:
        raise PictureError(
            "no font was found to write a PNG with; install one of a fixed width, such as DejaVu Sans Mono"
            " (Debian: fonts-dejavu-core), or make an .svg"
        )
    try:
        return bytes(resvg.svg_to_bytes(svg_string=document))
    except ValueError as error:
        raise PictureError(f"the PNG cannot be made: {error}; make an .svg") from error
