"""The app's cryptography, as installed phones have it (docs/api.md, "The app's cryptography").

The server never decrypts. Keys are bytes, as they travel and as phones keep them.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

AES_KEY_BYTES = 16
IV_BYTES = 16
SIGNATURE_BYTES = 256
PIECE_BYTES = 122  # of an inbox message; OAEP-SHA256 under RSA 2048 takes at most 190
CHUNK_BYTES = 256  # what a piece becomes

_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


class NotAuthentic(Exception):
    """What came is not what the owner of the key made: changed on its way, another's, or meant for another key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One pair for both purposes, encrypting inbox messages and signing."""

    private_key: bytes  # PKCS #8 DER
    public_key: bytes  # SPKI DER


def new_key_pair() -> KeyPair:
    """Return a new RSA 2048 pair. Takes about 100 ms."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return KeyPair(
        private_key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        public_key=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def new_aes_key() -> bytes:
    """Return a new AES-128 key, 16 bytes."""
    return secrets.token_bytes(AES_KEY_BYTES)


def new_iv() -> bytes:
    """Return a new initialization vector, 16 bytes."""
    return secrets.token_bytes(IV_BYTES)


def encrypt(aes_key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return the AES-128-CBC ciphertext, PKCS #7 padded."""
    padder = PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES128(aes_key), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def decrypt(aes_key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext. Raises NotAuthentic where its padding is wrong; CBC notices no other change."""
    try:
        decryptor = Cipher(algorithms.AES128(aes_key), modes.CBC(iv)).decryptor()
        unpadder = PKCS7(algorithms.AES.block_size).unpadder()
        return unpadder.update(decryptor.update(ciphertext) + decryptor.finalize()) + unpadder.finalize()
    except ValueError as error:
        raise NotAuthentic("the ciphertext is not one of this key") from error


def sign(private_key: bytes, message: bytes) -> bytes:
    """Return the RSASSA-PSS-SHA256 signature, 256 bytes. PSS hashes the message, once."""
    return _private(private_key).sign(message, _PSS, hashes.SHA256())


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Raises NotAuthentic unless the owner of the key signed the message with `sign`."""
    try:
        _public(public_key).verify(signature, message, _PSS, hashes.SHA256())
    except InvalidSignature as error:
        raise NotAuthentic("the signature is not of this message and this key") from error


def sign_and_encrypt(private_key: bytes, aes_key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext of the plaintext and its signature.

    The signature is over the plaintext's SHA-256, which PSS hashes again.
    """
    return encrypt(aes_key, iv, plaintext + sign(private_key, sha256(plaintext).digest()))


def decrypt_and_verify(public_key: bytes, aes_key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext that the owner of the key signed and encrypted. Raises NotAuthentic."""
    signed = decrypt(aes_key, iv, ciphertext)
    plaintext, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    verify(public_key, sha256(plaintext).digest(), signature)
    return plaintext


def seal(public_key: bytes, message: bytes) -> list[bytes]:
    """Return an inbox message as chunks of 256 bytes that only the key's owner can open."""
    key = _public(public_key)
    return [key.encrypt(message[at : at + PIECE_BYTES], _OAEP) for at in range(0, len(message), PIECE_BYTES)]


def open_sealed(private_key: bytes, chunks: list[bytes]) -> bytes:
    """Return the message that was sealed for the key's owner. Raises NotAuthentic."""
    key = _private(private_key)
    try:
        return b"".join(key.decrypt(chunk, _OAEP) for chunk in chunks)
    except ValueError as error:
        raise NotAuthentic("the message is not sealed for this key") from error


def _private(der: bytes) -> rsa.RSAPrivateKey:
    # Made by this phone: checking its primes again takes 35 ms, which would look like the server's time in the demo.
    key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the private key is not an RSA key")
    return key


def _public(der: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAuthentic("the public key cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotAuthentic("the public key is not an RSA key")
    return key
