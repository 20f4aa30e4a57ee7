"""Validate a crate without network: ``validate_crate.py CONTEXT FOLDER``, by roc-validator's own Python.

CONTEXT is a file that stands for the JSON-LD context of RO-Crate 1.1, the only address that is asked for.
Prints what Provenance Run Crate requires and the crate lacks, one line each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import requests
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def packaged(self: HttpRequester, url: str, **options: Any) -> requests.Response:
    """What the network would answer."""
    if url != CONTEXT:
        raise ConnectionError(f"the crate needs {url}")
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Type"] = "application/ld+json"
    response._content = Path(sys.argv[1]).read_bytes()
    return response


HttpRequester.get = packaged
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[2],
    profile_identifier="provenance-run-crate-0.5",
    requirement_severity=models.Severity.REQUIRED,
)
for issue in services.validate(settings).get_issues():
    sys.stdout.write(f"lacks {issue.check.identifier}: {issue.message}\n")
