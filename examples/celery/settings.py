"""The settings of a Django project, as far as its workers' channel layer needs them.

REDIS_URL says where Redis is, CHANNEL_LAYER which of the two layers of channels_redis workers report through: core or
pubsub. hordelink.toml must name the same.
"""

import os

# Django's own default is Chicago's time, which workers' log lines would have as well.
TIME_ZONE = "UTC"

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": {
            "core": "channels_redis.core.RedisChannelLayer",
            "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
        }[os.environ.get("CHANNEL_LAYER", "core")],
        "CONFIG": {"hosts": [REDIS_URL]},
    },
}
