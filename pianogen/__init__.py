"""Prepare corpora, train, evaluate and generate: the offline half, which knows no ports."""
