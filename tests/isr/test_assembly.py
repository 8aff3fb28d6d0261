"""Trimming, flipping and placing of amplifiers."""

from __future__ import annotations

import numpy as np

from calwatch.isr.assembly import assemble, fill_amplifiers, orient


def test_the_first_pixel_read_lands_in_its_corner(detector):
    """C10 upper left flipped both ways, C11 upper right flipped in y, C00 flipped in x."""
    stack = np.zeros((4, 76, 49), np.float32)
    for k, (pixels, amp) in enumerate(zip(stack, detector.amplifiers, strict=True)):
        pixels[amp.data.y0, amp.data.x0] = k + 1
        pixels[amp.data.y0 + 2, amp.data.x0 + 1] = 10 * (k + 1)
    image = assemble(stack, detector)
    assert image.shape == (128, 60)
    assert (image[127, 29], image[125, 28]) == (1, 10)
    assert (image[127, 30], image[125, 31]) == (2, 20)
    assert (image[0, 30], image[2, 31]) == (3, 30)
    assert (image[0, 29], image[2, 28]) == (4, 40)
    assert np.count_nonzero(image) == 8


def test_overscans_are_trimmed(detector):
    stack = np.full((4, 76, 49), 9, np.int32)
    for pixels, amp in zip(stack, detector.amplifiers, strict=True):
        pixels[amp.data.slices] = 1
    assert (assemble(stack, detector) == 1).all()


def test_orient_is_its_own_inverse(detector):
    pixels = np.arange(12).reshape(3, 4)
    for amp in detector.amplifiers:
        assert np.array_equal(orient(orient(pixels, amp), amp), pixels)


def test_fill_amplifiers(detector):
    image = fill_amplifiers(np.array([1.0, 2, 3, 4]), detector)
    assert (image[100, 5], image[100, 50], image[5, 50], image[5, 5]) == (1, 2, 3, 4)
