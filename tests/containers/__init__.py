"""The images, built and run on a real engine: a test bed for a Debian 12 machine, as root, without any registry of images.

`PYTHONPATH=tests python -m containers build` and so on; `make images` does it. All it makes lies in a scratch folder.
"""
