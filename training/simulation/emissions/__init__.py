"""The tables of the simulated company: noisy traces of the latent states. Nothing here moves a latent."""
