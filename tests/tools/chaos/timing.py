"""The clock of the chaos suite: production's mechanisms, shortened, and the bounds that follow from it."""

from __future__ import annotations

import json

from pipeline.settings import SweeperSettings
from pipeline.worker_settings import WorkSettings

LEASE_SECONDS = 5.0
VISIBILITY_SECONDS = 7.0
IDLE_SECONDS = 7.0  # longer than a gateway is frozen for: the load's clients are not slow
RECEIVE_SECONDS = 8.0
ORPHAN_SECONDS = 2 * RECEIVE_SECONDS  # a request may hang on a frozen store, too, before its document is inserted

SHORT_TIMEOUTS = {
    "DARKROOM_WORK__SOFT_TIME_LIMIT": "4",
    "DARKROOM_WORK__TIME_LIMIT": str(LEASE_SECONDS),
    "DARKROOM_WORK__RETRY_BASE": "0.2",
    "DARKROOM_WORK__RETRY_CAP": "1",
    "DARKROOM_BROKER__VISIBILITY_TIMEOUT": str(VISIBILITY_SECONDS),
    "DARKROOM_BROKER__SOCKET_TIMEOUT": "1.5",  # less than a server is frozen for: acknowledgements fail, too
    "DARKROOM_BROKER__RESTORE_INTERVAL": "1",
    "DARKROOM_BROKER__RESTORE_MUTEX_EXPIRE": "3",
    "DARKROOM_SWEEPER__INTERVAL": "0.3",
    "DARKROOM_SWEEPER__ACCEPT_PATIENCE": "2",
    "DARKROOM_SWEEPER__PATIENCE": "2",
    "DARKROOM_SWEEPER__BACKOFF": "1",
    "DARKROOM_SWEEPER__REFUSED_GRACE": "1",
    "DARKROOM_RETENTION__REFUSED": "4",
    "DARKROOM_SWEEPER__TIDY_INTERVAL": "1",
    "DARKROOM_SWEEPER__ORPHAN_GRACE": str(ORPHAN_SECONDS),
    "DARKROOM_HTTP__IDLE_TIMEOUT": str(IDLE_SECONDS),
    "DARKROOM_HTTP__KEY_LEASE": "2",  # less than the slow uploads take
    "DARKROOM_HTTP__RECEIVE_TIMEOUT": str(RECEIVE_SECONDS),
    "DARKROOM_FETCH__IDLE_TIMEOUT": "1",
    "DARKROOM_WEBHOOKS__TIMEOUT": "1",  # a run takes 0.4 of the soft time limit, and one try
    "DARKROOM_WEBHOOKS__RETRY_WAITS": json.dumps([0.2, 0.5, *[1] * 40]),
    "DARKROOM_WEBHOOKS__MAX_IN_FLIGHT": "12",  # what is late because of faults is made up for
    "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
}

ACCEPT_SECONDS = 20.0
"""Until an upload is accepted whose gateway was killed: a client does not wait longer for a key that nobody holds."""

MAX_ATTEMPTS = WorkSettings().max_attempts
MAX_GENERATION = SweeperSettings().max_generation

READY_SECONDS = 60.0  # for everything to be up again after a fault
ENDED_SECONDS = 60.0  # from the last fault until every accepted job has ended: the longest backoff, and a slow machine
DELIVERED_SECONDS = 600.0  # until each event is delivered: while fault follows fault, nothing is sent half the time
TIDY_SECONDS = 30.0  # from then until nothing is left over: an orphan's grace, and a slow machine
POISON_P95_SECONDS = 10.0  # what others may take, upload to end, while poison kills worker after worker
