"""What Octoroute costs, measured side by side with its stack's floor and with LiteLLM (see README.md)."""
