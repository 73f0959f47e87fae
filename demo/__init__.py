"""The real demo: llama.cpp servers with a small model, and Octoroute in front of them (`make demo`)."""
