"""Rollouts: which phones get their LSC in which wave, within the window, and when it stops (R16, R18).

A rollout is on record here, so that it can be taken up after any interruption and two of them never meet.
"""
