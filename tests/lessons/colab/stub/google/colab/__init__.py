"""Stands in for the package that a Colab runtime has, and whose presence is how Colab is recognised."""
