"""Errors of pictures."""

from __future__ import annotations

from solar_orch.errors.root import ExitCode, SolarError


class MissingExtra(SolarError):
    """Something needs packages that are installed only where they are asked for.

    :param extra: what to ask for
    :param module: the module that could not be imported
    """

    exit_code = ExitCode.USAGE

    def __init__(self, extra: str, module: str, cause: str) -> None:
        self.extra = extra
        self.module = module
        super().__init__(
            f"this picture needs a package that cannot be loaded ({cause});"
            f" install it with: pip install 'solar-orch[{extra}]'"
        )


class PictureError(SolarError):
    """A picture that cannot be made, or not in this format."""

    exit_code = ExitCode.USAGE


class FileNotWritten(SolarError):
    """A file could not be written; one that was there is as it was.

    :param path: of the file
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be written: {problem}")
