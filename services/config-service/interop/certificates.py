"""Certificates for tests, made by openssl: an authority, and what it signs."""

import os
import subprocess


class Authority:
    def __init__(self, directory, name):
        self.directory = directory
        self.name = name
        self.certificate = self._path(name, "crt")
        self._key = self._path(name, "key")
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self._key,
            "-out", self.certificate, "-subj", f"/CN={name}", "-days", "30",
        )  # fmt: skip

    def _path(self, name, kind):
        return os.path.join(self.directory, f"{name}.{kind}")

    def sign(self, name, subject=None, alternatives="", days=30):
        """A certificate for one who has that common name; returns its path and that of its key. `days` may be negative."""
        certificate, key, request = (self._path(name, kind) for kind in ("crt", "key", "csr"))
        extensions = self._path(name, "ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("basicConstraints=CA:FALSE\n")
            if alternatives:
                file.write(f"subjectAltName={alternatives}\n")
        _openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
            "-subj", subject or f"/CN={name}",
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-out", certificate, "-days", str(days), "-extfile", extensions,
        )  # fmt: skip
        return certificate, key


def fingerprint(path, algorithm="sha256"):
    """As RFC 7407 writes it."""
    text = _openssl("x509", "-in", path, "-noout", "-fingerprint", f"-{algorithm}").partition("=")[2].strip()
    return {"sha1": "02", "sha224": "03", "sha256": "04", "sha384": "05", "sha512": "06"}[algorithm] + ":" + text


def _openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout
