"""A command line of one's own, with the commands of ``solar-orch`` below it."""

import click

from solar_orch.cli import orch


@click.group()
def main():
    """Look after the shop."""


main.add_command(orch)

if __name__ == "__main__":
    main()
