"""`python -m octoroute`."""

from octoroute.cli import main

main()
