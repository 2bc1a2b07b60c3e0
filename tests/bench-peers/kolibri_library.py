"""The Kolibri of `cargo xtask bench player --peers kolibri`: a library with one channel, made without any network.

    KOLIBRI_HOME=… kolibri_library.py VIDEO PDF

Run by the Python that has Kolibri, on a KOLIBRI_HOME that may be new. Writes the channel's rows as Kolibri's own importer
would leave them (a topic with a video and a document), puts both files into its content storage under the MD5 of their
bytes, sets the device up without a person (guests may look), and prints one JSON object {"video": path of its
URL, "channel": id}.
"""

import hashlib
import json
import os
import shutil
import sys
import uuid

from kolibri.utils.cli import initialize

VIDEO, PDF = sys.argv[1:3]


def row(name):
    return uuid.uuid5(uuid.NAMESPACE_URL, "bbt-bench/" + name).hex


def store(path, extension):
    from kolibri.core.content.models import LocalFile
    from kolibri.core.content.utils import paths

    with open(path, "rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    name = f"{md5}.{extension}"
    at = paths.get_content_storage_file_path(name)
    os.makedirs(os.path.dirname(at), exist_ok=True)
    if not os.path.exists(at):
        try:
            os.link(path, at)
        except OSError:
            shutil.copyfile(path, at)
    local, _ = LocalFile.objects.get_or_create(
        id=md5, defaults={"extension": extension, "available": True, "file_size": os.path.getsize(path)}
    )
    return local, local.get_storage_url()


def main():
    initialize(skip_update=False)
    from django.core.management import call_command
    from kolibri.core.content.models import ChannelMetadata, ContentNode, File
    from kolibri.core.device.utils import device_provisioned

    if not device_provisioned():
        call_command(
            "provisiondevice",
            facility="Bench",
            preset="nonformal",
            superusername="bench",
            superuserpassword="bench bench 1234",
            language_id="zh-hans",
            interactive=False,
        )
    channel, common = row("channel"), {"channel_id": row("channel"), "available": True, "license_name": "Public Domain"}
    root, _ = ContentNode.objects.get_or_create(
        id=channel,
        defaults={**common, "content_id": row("root"), "title": "大课", "kind": "topic", "on_device_resources": 2},
    )
    urls = {}
    for key, path, extension, preset in (
        ("video", VIDEO, "mp4", "high_res_video"),
        ("document", PDF, "pdf", "document"),
    ):
        local, urls[key] = store(path, extension)
        node, made = ContentNode.objects.get_or_create(
            id=row(key),
            defaults={**common, "content_id": row(key + " content"), "title": key, "kind": key, "parent": root},
        )
        if made:
            File.objects.create(
                id=row(key + " file"), contentnode=node, local_file=local, preset=preset, priority=1
            )
    ChannelMetadata.objects.get_or_create(
        id=channel,
        defaults={
            "name": "大课",
            "root": root,
            "min_schema_version": "5",
            "version": 1,
            "total_resource_count": 2,
            "published_size": os.path.getsize(VIDEO) + os.path.getsize(PDF),
        },
    )
    print(json.dumps({"video": urls["video"], "channel": channel}))


main()
