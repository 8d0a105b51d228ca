"""The founding report's experiments on digit sequences, as recipes, and what they are compared with."""
from ergosum.settings import *
