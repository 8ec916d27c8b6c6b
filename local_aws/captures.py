"""Data capture of an endpoint: requests and answers as SageMaker writes them to S3.

SageMaker gathers several requests in a file; here each has a file of its own.
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_aws.objects import Location, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.objects import Objects

PARTS = {"Input": "endpointInput", "Output": "endpointOutput"}


@dataclass(frozen=True)
class Capture:
    """What of a request is kept, and where."""

    destination: Location
    modes: tuple[str, ...]
    text: Mapping[str, str]
    """Encoding by content type; every other is kept as BASE64."""

    @classmethod
    def drawn(cls, config: Mapping[str, Any]) -> Capture | None:
        """Return how the next request is captured, or None if chance leaves it out."""
        enabled = str(config.get("EnableCapture", False)).lower() == "true"
        percent = float(config.get("InitialSamplingPercentage", 0))
        if not enabled or random.random() * 100 >= percent:
            return None
        headers = config.get("CaptureContentTypeHeader") or {}
        return cls(
            parse_uri(config["DestinationS3Uri"]),
            tuple(option["CaptureMode"] for option in config["CaptureOptions"]),
            {
                kind.lower(): encoding
                for name, encoding in (("JsonContentTypes", "JSON"), ("CsvContentTypes", "CSV"))
                for kind in headers.get(name) or ()
            },
        )

    def keep(
        self,
        objects: Objects,
        place: tuple[str, str],
        kinds: tuple[str, str],
        request: bytes,
        answer: bytes,
    ) -> None:
        """Write a request and its answer.

        Parameters
        ----------
        objects
            Where to.
        place
            Endpoint and variant.
        kinds
            Content types of request and answer.
        request, answer
            The bodies.
        """
        now, event = datetime.now(UTC), str(uuid.uuid4())
        bodies = dict(zip(PARTS, zip(kinds, (request, answer), strict=True), strict=True))
        record = {
            "captureData": {
                PARTS[mode]: self._part(mode, *bodies[mode]) for mode in PARTS if mode in self.modes
            },
            "eventMetadata": {"eventId": event, "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"},
            "eventVersion": "0",
        }
        folder = "/".join((self.destination.key.rstrip("/"), *place, f"{now:%Y/%m/%d/%H}"))
        name = f"{now:%M-%S}-{now.microsecond // 1000:03d}-{event}.jsonl"
        line = json.dumps(record, ensure_ascii=False) + "\n"
        objects.put(
            Location(self.destination.bucket, f"{folder}/{name}".lstrip("/")), line.encode()
        )

    def _part(self, mode: str, kind: str, body: bytes) -> dict[str, str]:
        encoding = self.text.get(kind.partition(";")[0].strip().lower(), "BASE64")
        data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
        return {
            "observedContentType": kind,
            "mode": mode.upper(),
            "data": data,
            "encoding": encoding,
        }
