"""The app's cryptography: what comes back, what is refused, and the sizes that the contract names."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from client import crypto
from client.crypto import KeyPair, NotAuthentic

WORKOUT = '{"exercise":"Squat","note":"felt strong 💪"}'.encode()


@pytest.fixture(scope="module")
def ada() -> KeyPair:
    return crypto.new_key_pair()


@pytest.fixture(scope="module")
def ben() -> KeyPair:
    return crypto.new_key_pair()


@pytest.fixture(scope="module")
def aes_key() -> bytes:
    return crypto.new_aes_key()


@pytest.fixture(scope="module")
def iv() -> bytes:
    return crypto.new_iv()


def flipped(original: bytes, at: int) -> bytes:
    """The same bytes with one bit changed."""
    changed = bytearray(original)
    changed[at] ^= 1
    return bytes(changed)


def test_keys_have_the_published_forms_and_sizes(ada, aes_key, iv):
    public, private = load_der_public_key(ada.public_key), load_der_private_key(ada.private_key, None)
    assert isinstance(public, RSAPublicKey)
    assert isinstance(private, RSAPrivateKey)
    assert private.public_key() == public
    assert (public.key_size, public.public_numbers().e) == (2048, 65537)
    assert len(ada.public_key) == 294
    assert (len(aes_key), len(iv)) == (16, 16)


def test_every_key_and_iv_is_new(ada, ben, aes_key, iv):
    assert ada != ben
    assert crypto.new_aes_key() != aes_key
    assert crypto.new_iv() != iv


def test_aes_gives_the_published_example():
    # NIST SP 800-38A, F.2.1: CBC-AES128.Encrypt, block 1
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    iv = bytes(range(16))
    plaintext = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    ciphertext = crypto.encrypt(key, iv, plaintext)
    assert ciphertext[:16].hex() == "7649abac8119b246cee98e9b12e9197d"
    assert crypto.decrypt(key, iv, ciphertext) == plaintext


@pytest.mark.parametrize(("plain_bytes", "cipher_bytes"), [(0, 16), (1, 16), (15, 16), (16, 32), (17, 32)])
def test_padding_always_adds_a_byte(aes_key, iv, plain_bytes, cipher_bytes):
    ciphertext = crypto.encrypt(aes_key, iv, bytes(plain_bytes))
    assert len(ciphertext) == cipher_bytes
    assert crypto.decrypt(aes_key, iv, ciphertext) == bytes(plain_bytes)


@pytest.mark.parametrize("plaintext", [b"", b"a", WORKOUT, bytes(15_000)])
def test_what_is_signed_and_encrypted_comes_back(ada, aes_key, iv, plaintext):
    ciphertext = crypto.sign_and_encrypt(ada.private_key, aes_key, iv, plaintext)
    assert crypto.decrypt_and_verify(ada.public_key, aes_key, iv, ciphertext) == plaintext


def test_the_signature_is_the_last_256_bytes_and_over_the_digest(ada, aes_key, iv):
    ciphertext = crypto.sign_and_encrypt(ada.private_key, aes_key, iv, WORKOUT)
    signed = crypto.decrypt(aes_key, iv, ciphertext)
    plaintext, signature = signed[:-256], signed[-256:]
    assert plaintext == WORKOUT
    crypto.verify(ada.public_key, sha256(plaintext).digest(), signature)
    with pytest.raises(NotAuthentic):
        crypto.verify(ada.public_key, plaintext, signature)  # hashed once is an inbox message's


@pytest.mark.parametrize("at", [0, 16, len(WORKOUT), -17, -1])
def test_a_changed_ciphertext_is_refused(ada, aes_key, iv, at):
    ciphertext = crypto.sign_and_encrypt(ada.private_key, aes_key, iv, WORKOUT)
    with pytest.raises(NotAuthentic):
        crypto.decrypt_and_verify(ada.public_key, aes_key, iv, flipped(ciphertext, at))


@pytest.mark.parametrize("kept_bytes", [0, 15, 16, 256])
def test_a_cut_ciphertext_is_refused(ada, aes_key, iv, kept_bytes):
    ciphertext = crypto.sign_and_encrypt(ada.private_key, aes_key, iv, WORKOUT)
    with pytest.raises(NotAuthentic):
        crypto.decrypt_and_verify(ada.public_key, aes_key, iv, ciphertext[:kept_bytes])


def test_another_iv_key_or_author_is_refused(ada, ben, aes_key, iv):
    ciphertext = crypto.sign_and_encrypt(ada.private_key, aes_key, iv, WORKOUT)
    for public_key, key, vector in [
        (ben.public_key, aes_key, iv),
        (ada.public_key, flipped(aes_key, 0), iv),
        (ada.public_key, aes_key, flipped(iv, 0)),
        (ada.public_key, aes_key, iv[:8]),
        (b"", aes_key, iv),
    ]:
        with pytest.raises(NotAuthentic):
            crypto.decrypt_and_verify(public_key, key, vector, ciphertext)


def test_a_signature_is_256_bytes_and_of_one_message_and_one_author(ada, ben):
    signature = crypto.sign(ada.private_key, WORKOUT)
    assert len(signature) == 256
    crypto.verify(ada.public_key, WORKOUT, signature)
    for public_key, message, presented in [
        (ben.public_key, WORKOUT, signature),
        (ada.public_key, WORKOUT + b" ", signature),
        (ada.public_key, WORKOUT, flipped(signature, 0)),
        (ada.public_key, WORKOUT, b""),
    ]:
        with pytest.raises(NotAuthentic):
            crypto.verify(public_key, message, presented)


@pytest.mark.parametrize(("size_bytes", "chunk_count"), [(1, 1), (122, 1), (123, 2), (244, 2), (1000, 9), (2440, 20)])
def test_an_inbox_message_is_sealed_in_chunks_of_256_bytes(ben, size_bytes, chunk_count):
    message = bytes(range(256)) * 10
    chunks = crypto.seal(ben.public_key, message[:size_bytes])
    assert [len(chunk) for chunk in chunks] == [256] * chunk_count
    assert crypto.open_sealed(ben.private_key, chunks) == message[:size_bytes]


def test_only_the_recipient_opens_a_message(ada, ben):
    chunks = crypto.seal(ben.public_key, WORKOUT)
    with pytest.raises(NotAuthentic):
        crypto.open_sealed(ada.private_key, chunks)
    with pytest.raises(NotAuthentic):
        crypto.open_sealed(ben.private_key, [flipped(chunks[0], 100)])
