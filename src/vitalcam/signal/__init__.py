"""Waveforms and what is read out of them: filters, spectra, beats, rates, quality."""
