"""PSNR tables: how well each denoiser does, on what it was trained on and on what it was not."""
