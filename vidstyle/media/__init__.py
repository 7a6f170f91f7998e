"""Files in and out: probing, decoding, encoding, muxing and pictures."""
