"""Octoroute: one OpenAI-compatible daemon in front of a fleet of self-hosted LLMs."""

from importlib.metadata import version

__version__ = version("octoroute")
