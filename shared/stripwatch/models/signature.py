"""Who vouches for a model: an Ed25519 signature over its manifest, which holds the hash of all else that is loaded."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from stripwatch.errors import BadInput, ModelInvalid, SettingsInvalid

FILE = "manifest.sig"
"""The 64 bytes as they are: what `openssl pkeyutl -sign -rawin -in manifest.json` writes too."""

_BYTES = 64

PublicKey = Ed25519PublicKey


def public_key(path: Path) -> PublicKey:
    """The key that models must be signed for; SettingsInvalid."""
    expected = f"STRIPWATCH_MODEL_KEY: {path}: expected an Ed25519 public key in PEM"
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"STRIPWATCH_MODEL_KEY: {path}: cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsInvalid(f"{expected}, got something else") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsInvalid(f"{expected}, got a {type(key).__name__}")
    return key


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key to sign with; BadInput."""
    expected = f"{path}: expected an Ed25519 private key in PEM, without a passphrase"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        raise BadInput(f"{expected}, got something else") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{expected}, got a {type(key).__name__}")
    return key


def check(folder: Path, manifest: bytes, key: PublicKey) -> None:
    """ModelInvalid unless the folder holds the key's signature over these very bytes of its manifest."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            signature = file.read(_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path}: expected a signature of the manifest by STRIPWATCH_MODEL_KEY, got none") from error
    except OSError as error:
        raise ModelInvalid(f"{path}: cannot be read: {error.strerror}") from error
    try:
        key.verify(signature, manifest)
    except InvalidSignature as error:
        raise ModelInvalid(
            f"{path}: expected a signature of the manifest beside it by STRIPWATCH_MODEL_KEY, got one that is not: "
            "another key made it, or the manifest was changed"
        ) from error


def sign(folder: Path, manifest: bytes, key: Ed25519PrivateKey) -> Path:
    """Writes the signature of these bytes of the folder's manifest, and gives its path."""
    path = folder / FILE
    try:
        path.write_bytes(key.sign(manifest))
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
    return path
