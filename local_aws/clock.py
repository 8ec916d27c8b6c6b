"""Requests signed by a clock that is wrong, refused as AWS refuses them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html: a signature is
valid for fifteen minutes around its time; nothing else of it is looked at here.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

TOLERANCE = timedelta(minutes=15)
FORM = "%Y%m%dT%H%M%SZ"
CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")


def refusal(headers: Headers, *, now: datetime) -> Response | None:
    """Return the answer to a request dated too far from `now` or not at all, None to any other."""
    signed = CREDENTIAL.search(headers.get("Authorization", ""))
    stamp = headers.get("X-Amz-Date")
    if signed is None or stamp is None:
        return None
    is_s3 = signed["service"] == "s3"
    try:
        said = datetime.strptime(stamp, FORM).replace(tzinfo=UTC)
    except ValueError:
        if is_s3:
            text = "AWS authentication requires a valid Date or x-amz-date header"
            return _xml(f"<Error>{_code('AccessDenied', text)}</Error>")
        text = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'."
        return _of_service(headers, "IncompleteSignature", "IncompleteSignatureException", text)
    if abs(now - said) <= TOLERANCE:
        return None
    if is_s3:
        text = "The difference between the request time and the current time is too large."
        return _xml(f"<Error>{_code('RequestTimeTooSkewed', text)}</Error>")
    late = said < now
    relation = "Signature expired: {} is now earlier than {}" if late else (
        "Signature not yet current: {} is still later than {}"
    )  # fmt: skip
    limit = now - TOLERANCE if late else now + TOLERANCE
    text = relation.format(stamp, limit.strftime(FORM))
    return _of_service(headers, "SignatureDoesNotMatch", "InvalidSignatureException", text)


def _of_service(headers: Headers, code: str, json_code: str, text: str) -> Response:
    """Return an error as a service other than S3 says it, in JSON to who asks in JSON."""
    if "X-Amz-Target" in headers:
        body = json.dumps({"__type": json_code, "message": text})
        return Response(body, status=400, content_type="application/x-amz-json-1.1")
    error = f"<Error><Type>Sender</Type>{_code(code, text)}</Error>"
    return _xml(f"<ErrorResponse>{error}</ErrorResponse>")


def _code(code: str, text: str) -> str:
    return f"<Code>{code}</Code><Message>{escape(text)}</Message>"


def _xml(body: str) -> Response:
    return Response(body, status=403, content_type="text/xml")
