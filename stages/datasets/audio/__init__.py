"""Sound: WAV files, clips of one length, and the features that a device computes from them."""
