"""Pictures taken apart."""

from __future__ import annotations

from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def told(document: str) -> list[str]:
    """The first line of each tooltip of a picture: what it is about."""
    root = ElementTree.fromstring(document)
    return [(title.text or "").splitlines()[0] for title in root.iter(f"{SVG}title")]


def texts(document: str) -> list[str]:
    """What is written in a picture."""
    return [text.text or "" for text in ElementTree.fromstring(document).iter(f"{SVG}text")]
