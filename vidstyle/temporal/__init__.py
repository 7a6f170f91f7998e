"""What happens between frames: optical flow, scene cuts and the smoother."""
