#!/usr/bin/env python3
"""Makes the pictures that the QR reader is tested with.

Nothing of Allod takes part: the codes come from segno and qrcode, the distortions from OpenCV, NumPy and Pillow, so that
a mistake shared by our own renderer and reader cannot hide. Every picture holds one of two invitations (of 120 and 160
bytes, from fixed seeds) that are written to invitation-120.txt and invitation-160.txt; the number at the end of a
picture's name says which. The names `other-*` hold another QR code, `none-*` hold none.

    python3 -m venv venv && venv/bin/pip install segno==1.6.6 qrcode==8.2 pillow==13.0.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
    venv/bin/python make.py

A second run gives the same bytes with the same versions.
"""
import base64
import hashlib
import io
import math
import pathlib

import cv2
import numpy as np
import qrcode
import segno
from PIL import Image, ImageDraw, ImageFont

HERE = pathlib.Path(__file__).parent
SIZE_MAX_BYTES = 40_000


def invitation(size):
    payload = hashlib.shake_256(b"allod picture %d" % size).digest(size)
    return "ALLOD:" + base64.b32encode(payload).decode().rstrip("=")


TEXTS = {size: invitation(size) for size in (120, 160)}


def segno_code(text, scale=4, border=4, error="l"):
    """Grey array, black on white, made by segno."""
    out = io.BytesIO()
    segno.make(text, error=error, boost_error=False, micro=False).save(out, kind="png", scale=scale, border=border)
    return np.array(Image.open(io.BytesIO(out.getvalue())).convert("L"))


def qrcode_code(text, scale=4, border=4, error=qrcode.constants.ERROR_CORRECT_L):
    """Grey array, black on white, made by the package qrcode."""
    code = qrcode.QRCode(error_correction=error, box_size=scale, border=border)
    code.add_data(text)
    code.make(fit=True)
    return np.array(code.make_image().get_image().convert("L"))


def pad(picture, by, value):
    return cv2.copyMakeBorder(picture, by, by, by, by, cv2.BORDER_CONSTANT, value=value)


def rotate(picture, degrees, value=210):
    """Turns the picture and enlarges the frame so that nothing is cut off."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    new_width, new_height = int(height * sin + width * cos), int(height * cos + width * sin)
    turn[0, 2] += new_width / 2 - width / 2
    turn[1, 2] += new_height / 2 - height / 2
    return cv2.warpAffine(picture, turn, (new_width, new_height), flags=cv2.INTER_LINEAR, borderValue=value)


def tilt(picture, pitch=0.0, yaw=0.0, roll=0.0, distance=2.0, value=200):
    """The picture as a plane in space, seen by a pinhole camera `distance` widths away; angles in degrees."""
    height, width = picture.shape[:2]
    a, b, c = (math.radians(x) for x in (pitch, yaw, roll))
    rx = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    ry = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    rz = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    corners = np.array([[-width, -height, 0], [width, -height, 0], [width, height, 0], [-width, height, 0]]) / 2.0
    turned = corners @ (ry @ rx @ rz).T
    depth = turned[:, 2] + distance * width
    seen = turned[:, :2] * (distance * width / depth)[:, None]
    seen -= seen.min(axis=0) - 12
    frame = np.ceil(seen.max(axis=0) + 12).astype(int)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(source, seen.astype(np.float32))
    return cv2.warpPerspective(picture, matrix, tuple(int(x) for x in frame), flags=cv2.INTER_AREA, borderValue=value)


def light(picture, darkest=0.25):
    """A lamp at one corner: the far corner gets `darkest` of the light, and a soft shadow lies across."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    far = (x / width + y / height) / 2
    lamp = 1 - (1 - darkest) * far
    shadow = 1 - 0.3 * np.exp(-(((x / width - y / height) - 0.1) ** 2) / 0.02)
    return np.clip(picture * lamp * shadow, 0, 255).astype(np.uint8)


def noise(picture, sigma, seed):
    grains = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + grains, 0, 255).astype(np.uint8)


def blur(picture, sigma):
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def contrast(picture, black, white):
    return (black + picture.astype(float) * (white - black) / 255).astype(np.uint8)


def resize(picture, factor, how=cv2.INTER_AREA):
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)


def terminal(text, cell=(8, 17), gap=0, dark=True, inverted=False):
    """A screenshot: half blocks in cells of an odd height, a prompt above and below, `gap` pixels between the lines."""
    code = segno_code(text, scale=1)
    ink = np.zeros_like(code) if not inverted else np.full_like(code, 255)
    modules = np.where(code < 128, ink, 255 - ink)
    if modules.shape[0] % 2:
        modules = np.vstack([modules, np.full((1, modules.shape[1]), 255 - ink[0, 0], np.uint8)])
    width, height = cell
    upper = height // 2
    rows = []
    for top, bottom in zip(modules[0::2], modules[1::2]):
        rows.append(np.repeat(np.repeat(top[None], width, 1), upper, 0))
        rows.append(np.repeat(np.repeat(bottom[None], width, 1), height - upper, 0))
        if gap:
            rows.append(np.full((gap, modules.shape[1] * width), 24 if dark else 250, np.uint8))
    drawn = np.vstack(rows)
    ground, letters = (24, 220) if dark else (250, 30)
    page = Image.new("L", (80 * width, drawn.shape[0] + 6 * height), ground)
    page.paste(Image.fromarray(drawn), (0, 3 * height))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    pen.text((4, 4), "$ allod invite", fill=letters, font=font)
    pen.text((4, 4 + height), "Show this to the other person within two minutes.", fill=letters, font=font)
    pen.text((4, drawn.shape[0] + 3 * height + 4), text[:64], fill=letters, font=font)
    return np.array(page)


def room(width, height, seed, soft=True):
    """Something to stand around a code: shapes over a soft ground, or over a plain one that compresses to little."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (9, 12)).astype(np.uint8)
    page = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC if soft else cv2.INTER_NEAREST)
    for _ in range(14):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = int(rng.integers(30, width // 4)), int(rng.integers(30, height // 4))
        cv2.rectangle(page, (x, y), (x + w, y + h), int(rng.integers(30, 230)), -1)
    return blur(page, 1.2) if soft else page


def place(page, picture, x, y):
    page = page.copy()
    page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return page


def photo_of_a_screen(text, seed):
    """What a phone gives: a close screen at an angle, its glow falling off, soft, grainy, compressed."""
    shown = pad(segno_code(text, scale=5), 60, 28)
    seen = tilt(shown, pitch=14, yaw=-17, roll=7, distance=2.2, value=60)
    return noise(blur(light(contrast(seen, 35, 235), 0.5), 1.1), 7, seed)


def save(name, picture, quality=None):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    path = HERE / name
    if name.endswith(".png"):
        image.save(path, optimize=True)
    else:
        image.save(path, quality=quality or 75, optimize=True)
    size = path.stat().st_size
    assert size < SIZE_MAX_BYTES, f"{name} is {size} bytes"
    print(f"{size:6d}  {image.size[0]:4d} x {image.size[1]:<4d}  {image.mode:5s} {name}")


def main():
    for old in [*HERE.glob("*.png"), *HERE.glob("*.jpg"), *HERE.glob("*.txt")]:
        old.unlink()
    for size, text in TEXTS.items():
        (HERE / f"invitation-{size}.txt").write_text(text + "\n")
    small, large = TEXTS[120], TEXTS[160]

    # Turned.
    save("angle-05-160.png", rotate(qrcode_code(large), 5))
    save("angle-15-120.png", rotate(segno_code(small), 15))
    save("angle-30-160.png", rotate(segno_code(large), 30))
    save("angle-45-120.png", rotate(qrcode_code(small), 45))
    save("angle-60-160.jpg", rotate(segno_code(large), 60))
    save("angle-197-120.png", rotate(segno_code(small), 197))
    # Seen from aside: 20 degrees and, once, 35.
    save("perspective-left-160.png", tilt(segno_code(large, 5), yaw=20))
    save("perspective-below-120.png", tilt(segno_code(small, 5), pitch=20))
    save("perspective-corner-160.jpg", tilt(qrcode_code(large, 6), pitch=-20, yaw=20, distance=1.5))
    save("perspective-turned-120.jpg", tilt(segno_code(small, 6), pitch=20, yaw=-12, roll=25))
    save("perspective-35-120.jpg", tilt(segno_code(small, 6), yaw=35))
    # Out of focus, and shaken.
    save("blur-160.jpg", blur(segno_code(large), 1.8))
    # 0.58 of a module; from 0.62 on no way of reading was found.
    save("blur-strong-120.jpg", blur(segno_code(small), 2.3))
    shake = np.zeros((9, 9), np.float32)
    shake[4, 2:7] = 0.2
    save("shaken-120.jpg", cv2.filter2D(segno_code(small), -1, shake))
    # Compressed, lit badly, pale, grainy.
    save("jpeg-40-160.jpg", segno_code(large, 3), quality=40)
    save("jpeg-10-120.jpg", segno_code(small, 4), quality=10)
    save("uneven-light-160.jpg", noise(light(pad(segno_code(large), 20, 255)), 3, 1))
    save("uneven-light-dim-120.jpg", noise(light(contrast(pad(qrcode_code(small), 30, 255), 10, 130), 0.3), 3, 2))
    save("pale-160.jpg", contrast(segno_code(large), 150, 195))
    save("noise-120.jpg", noise(segno_code(small), 45, 3), quality=70)
    save("noise-salt-160.png", np.where(np.random.default_rng(4).random((228, 228)) < 0.02, 128, segno_code(large)))
    # Dark mode.
    save("dark-mode-160.png", 255 - segno_code(large))
    save("dark-mode-turned-120.jpg", rotate(255 - segno_code(small), 12, 20), quality=60)
    save("dark-terminal-plain-160.png", terminal(large, inverted=True))
    save("dark-terminal-black-on-white-120.png", terminal(small))
    save("light-terminal-gaps-160.png", terminal(large, gap=1, dark=False))
    save("dark-terminal-gaps-120.png", terminal(small, gap=1))
    # Small and large.
    save("two-pixels-a-module-160.png", segno_code(large, 2))
    save("scaled-0.6-120.png", resize(segno_code(small, 4), 0.6))
    save("scaled-1.7-160.png", resize(segno_code(large, 2), 1.7, cv2.INTER_LINEAR))
    save("scaled-0.37-160.png", resize(segno_code(large, 5), 0.37))
    save("small-in-large-120.png", place(room(4000, 3000, 5, soft=False), segno_code(small, 3), 2650, 1820))
    save("small-in-large-turned-160.jpg", place(room(1000, 750, 6), rotate(segno_code(large, 3), 9), 140, 400), quality=40)
    save("large-blurred-120.jpg", blur(segno_code(small, 14), 6.5), quality=40)
    # As they come from phones, browsers and editors.
    save("photo-of-a-screen-160.jpg", photo_of_a_screen(large, 7), quality=60)
    save("photo-of-a-screen-120.jpg", photo_of_a_screen(small, 8), quality=45)
    clear = np.zeros((*segno_code(small).shape, 4), np.uint8)
    clear[..., 3] = 255 - segno_code(small)
    save("clear-ground-120.png", Image.fromarray(clear, "RGBA"))
    colours = np.where(segno_code(large)[..., None] < 128, np.uint8([20, 40, 120]), np.uint8([255, 240, 180]))
    save("colours-160.png", Image.fromarray(colours, "RGB").quantize(4))
    deep = segno_code(small, 3).astype(np.uint16) * 257
    save("sixteen-bits-120.png", Image.fromarray(deep))
    save("no-quiet-zone-160.png", pad(segno_code(large, 4, border=1), 40, 235))
    save("mirrored-120.png", segno_code(small)[:, ::-1])

    # What is not an invitation.
    save("other-address.png", segno_code("https://example.org/menu?table=12"))
    save("none-room.jpg", room(640, 480, 9), quality=50)
    save("none-text.png", terminal(small)[:51])


if __name__ == "__main__":
    main()
