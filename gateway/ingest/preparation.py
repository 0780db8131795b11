"""What the making of jobs of events needs, whichever way the events come."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ingest.ingestion import Ingestion
from gateway.ingest.presets import choose_preset
from gateway.metrics import GatewayMetrics
from gateway.permission import Permission
from gateway.submission.lanes import LaneChooser
from gateway.submission.new_job import JobMaker
from gateway.webhooks.rendition_interest import RenditionInterest
from pipeline.presets.registry import Presets
from pipeline.settings import Settings
from storage.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The parts of a gateway that make jobs of events."""

    stores: Stores
    settings: Settings
    metrics: GatewayMetrics
    lanes: LaneChooser
    presets: Presets
    renditions: RenditionInterest

    def prepare(
        self, permission: Permission, *, preset: str | None, caller: str, request_id: str | None = None
    ) -> Ingestion:
        """Return what makes the jobs of one caller. Raises what `choose_preset` does."""
        maker = JobMaker(
            settings=self.settings,
            permission=permission,
            has_own_default=self.presets.has_own_default,
            request_id=request_id,
        )
        return Ingestion(
            stores=self.stores,
            settings=self.settings,
            metrics=self.metrics,
            lanes=self.lanes,
            permission=permission,
            preset=choose_preset(self.presets, permission, preset),
            maker=maker,
            renditions=self.renditions,
            caller=caller,
        )
