"""Stands in for the package by whose presence Colab is recognised."""
