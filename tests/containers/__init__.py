"""The images, built and run on real engines: on Debian 12, as root, without any registry of images.

`PYTHONPATH=tests python -m containers build` and so on; `make images` does it. All it makes lies in a scratch folder.
"""
