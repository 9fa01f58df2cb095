"""Compiled code: loops over neurons, threads that share them, products by BLAS.

Everything here has a slower twin in numpy that gives the same numbers.
"""
