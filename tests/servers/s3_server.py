"""moto as S3 over HTTP on the loopback: the bucket of public sessions, read without an account."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

BUCKET = "allen-brain-observatory"
PREFIX = "visual-coding-neuropixels/ecephys-cache"


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes
    ----------
    url
        Address of the bucket, for ``SPIKESIGHT_S3_URL``.
    client
        A boto3 client, to put objects there.
    """

    url: str
    client: Any

    def put(self, key: str, data: bytes, **options: Any) -> str:
        """Put an object in one go; return its ETag, which is the MD5, without quotes."""
        answer = self.client.put_object(Bucket=BUCKET, Key=key, Body=data, ACL="public-read", **options)
        return str(answer["ETag"]).strip('"')

    def put_multipart(self, key: str, data: bytes, part_size: int, **options: Any) -> str:
        """Put an object in parts of ``part_size`` (bytes, 5 MiB at least); return its ETag, without quotes."""
        where = {"Bucket": BUCKET, "Key": key}
        upload = self.client.create_multipart_upload(**where, ACL="public-read", **options)["UploadId"]
        parts = []
        for number, first in enumerate(range(0, len(data), part_size), 1):
            body = data[first : first + part_size]
            part = self.client.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        done = self.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        return str(done["ETag"]).strip('"')

    def session_key(self, session_id: int) -> str:
        """Return the name of a session's file in the bucket."""
        return f"{PREFIX}/session_{session_id}/session_{session_id}.nwb"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run moto with an empty public bucket."""
    import boto3
    from botocore.config import Config
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )  # fmt: skip
        client.create_bucket(Bucket=BUCKET, ACL="public-read")
        yield S3Server(f"{address}/{BUCKET}", client)
    finally:
        server.stop()
