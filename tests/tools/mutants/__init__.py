"""Breaks a promise of the pipeline on purpose, one at a time, and sees which test notices."""
