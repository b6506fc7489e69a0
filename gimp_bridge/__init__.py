# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between GIMP and the engine process.

Client (standard library alone; runs in GIMP's own Python): `client`, `background_queue`, `strip_rendering`,
`layer_pixels`, `request_channel`, `starter`, `connection`, `bridge_folder`. The messages, which both use: `protocol`,
`color_messages`, `strip_messages`, `mask_messages`, `shadow_messages`, `finish_messages`, `harmony_messages`, and
`message_encoding`. Engine process: `server`, `engine_session`, `shared_workspace`, one module of responses for each
module of messages (`color_requests`, `mask_requests`, …), `model_cache`, `effective_mask`, `color_space`, and the
command `s2am serve` in `serve_command`.
"""

from __future__ import annotations

CLIENT_FILES = (
    "__init__.py",
    "background_queue.py",
    "bridge_folder.py",
    "client.py",
    "color_messages.py",
    "connection.py",
    "finish_messages.py",
    "harmony_messages.py",
    "layer_pixels.py",
    "mask_messages.py",
    "message_encoding.py",
    "protocol.py",
    "request_channel.py",
    "shadow_messages.py",
    "starter.py",
    "strip_messages.py",
    "strip_rendering.py",
)
"""The modules that are copied into the plug-in's folder, together with all of `s2am_common`."""
