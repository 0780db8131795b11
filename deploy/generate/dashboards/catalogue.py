"""All dashboards, and how they are rendered to JSON."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.generate.dashboards import gateway, mongo, outbound, pipeline, redis, safety, workers

BOARDS = {
    "pipeline.json": pipeline.board,
    "workers.json": workers.board,
    "gateway.json": gateway.board,
    "safety.json": safety.board,
    "outbound.json": outbound.board,
    "redis.json": redis.board,
    "mongo.json": mongo.board,
}


def render_dashboards() -> dict[str, str]:
    """Return the JSON text of every dashboard by file name."""
    return {
        name: json.dumps(board(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for name, board in BOARDS.items()
    }
