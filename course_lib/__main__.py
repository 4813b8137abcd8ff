"""`python -m course_lib doctor`: does the course run on this machine?"""

import argparse
import sys

from course_lib import doctor


def main():
    """Parse the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m course_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser(
        "doctor",
        help="check Python, packages, backend, data, memory and write access",
        description="A line each, ok or with its remedy. Exit code 1 if the course would not run.",
    )
    parser.parse_args()
    return 1 if doctor.report() else 0


if __name__ == "__main__":
    sys.exit(main())
