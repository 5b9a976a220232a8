"""Sources of frames: a folder of images, a video file or camera address, a recording, the simulator."""
