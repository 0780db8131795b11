"""The JSON Schema of a file of presets, for editors, which have no API key."""

from __future__ import annotations

import json

from fastapi import Response

from gateway.dependencies import SettingsDep
from gateway.openapi.headers import answer_headers
from gateway.routing import Router
from pipeline.presets.schema import build_schema

PATH = "/schemas/preset.json"
MEDIA_TYPE = "application/schema+json"
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

router = Router(tags=["presets"])


@router.get(
    PATH,
    summary="Get the schema of a file of presets",
    operation_id="get_preset_schema",
    response_class=Response,
    responses={
        200: {
            "description": "A JSON Schema of draft 2020-12",
            "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
            "headers": answer_headers("Cache-Control"),
        }
    },
)
async def get_preset_schema(settings: SettingsDep) -> Response:
    """Return the JSON Schema of a file of presets, with the limits that are in force. No key is needed."""
    schema = json.dumps(build_schema(settings.preset_limits), ensure_ascii=False, indent=1)
    return Response(schema, media_type=MEDIA_TYPE, headers=HEADERS)
