"""The settings of the workers: how long a stage run may take, and how messages use the broker."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings_section import Count, Seconds, SettingsSection


class WorkSettings(SettingsSection):
    """How long a stage run may take and how often it is retried."""

    soft_time_limit: Seconds = Field(50, description="A stage run that takes longer is stopped and retried.")
    time_limit: Seconds = Field(
        60, description="A stage run that does not stop is killed with its process after this long."
    )
    max_attempts: Count = Field(
        4,
        description="Attempts of one stage before its job is dead: runs that end in a crash, a bug or the time limit.",
    )
    max_retries: Count = Field(5, description="Retries of one message when the infrastructure fails.")
    retry_base: Seconds = Field(
        1, description="Shortest wait before a retry. A random part is added; its limit is 1 s and doubles each time."
    )
    retry_cap: Seconds = Field(
        30, description="Upper limit of the random part: the longest wait is `retry_base` + `retry_cap`."
    )
    max_tasks_per_child: Count = Field(2000, description="Tasks after which a child process is replaced.")
    max_memory_per_child_kib: Count = Field(
        640 * 1024, description="Memory in KiB; a child process that uses more is replaced after its task."
    )
    max_image_memory_mib: int = Field(
        1088,
        ge=0,
        description="Memory in MiB that a child process may allocate on top of what it starts with; an image that "
        "needs more is refused. 0: no limit. Linux only.",
    )
    soft_shutdown_timeout: Seconds = Field(
        20, description="How long a stopping worker may finish its tasks; unfinished messages return to their queue."
    )


class BrokerSettings(SettingsSection):
    """How messages use Redis or RabbitMQ. The defaults of Celery and kombu can lose work; these do not."""

    visibility_timeout: Seconds = Field(
        120, description="Redis delivers a message again when it is unacknowledged for this long."
    )
    restore_interval: Count = Field(5, description="How often workers look for messages to deliver again.")
    restore_mutex_expire: Count = Field(
        30, description="One worker at a time looks for them; if it dies, another one takes over after this long."
    )
    connect_timeout: Seconds = Field(2, description="How long opening a connection to the broker may take.")
    socket_timeout: Seconds = Field(5, description="How long a worker waits for a reply from the broker.")
    publish_timeout: Seconds = Field(2, description="How long the gateway waits for a reply from the broker.")
    health_check_interval: Count = Field(
        10, description="Redis: a connection that is idle for this long is checked before use. RabbitMQ: the heartbeat."
    )
    result_expires: Count = Field(3600, description="Lifetime of Celery's results; unused, because none are stored.")
    chord_expires: Count = Field(86_400, description="How long the counter of a chord's finished parts is kept.")
    result_max_retries: Count = Field(12, description="Attempts to count a finished chord part while Redis is down.")
