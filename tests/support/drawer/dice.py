"""Generators and functions of another module, which models use."""

import random

import numpy as np

generator = np.random.default_rng(11)


def throw():
    return np.random.random()


def throw_pythons():
    return random.random()


def throw_modules():
    return generator.random()
