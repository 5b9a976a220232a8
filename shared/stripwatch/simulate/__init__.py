"""A strip of hot-rolled steel drawn from a seed, with the true place of every flaw: for trials and for training."""

from stripwatch.simulate.flaws import Flaw
from stripwatch.simulate.plan import StripPlan, plan_strip, truth
from stripwatch.simulate.render import render
from stripwatch.simulate.texture import Texture
from stripwatch.simulate.tiles import clean_tile, flaw_tile

__all__ = ["Flaw", "StripPlan", "Texture", "clean_tile", "flaw_tile", "plan_strip", "render", "truth"]
