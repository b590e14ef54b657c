"""What leads s3:// and gs:// addresses to a store on this machine."""

from __future__ import annotations

import json

import pytest


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables by which obstore finds the store at `url`, and credentials for it."""
    google = {"gcs_base_url": url, "disable_oauth": True}
    google |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(google),
    }.items():
        monkeypatch.setenv(name, value)
