"""`verify-audit` and `audit-key`: what an operator, or an auditor with read access alone, asks of the audit trail."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from chassis.mongo import connect, init_documents
from chassis.settings import MissingSetting

from auth.crypto.checkpoint_key import CheckpointKey, TrustedKeys
from auth.domain.audit_checkpoints import Checkpoint
from auth.settings import AuthSettings
from auth.storage.audit_anchors import read_anchors
from auth.storage.audit_records import MongoAuditRecords
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS
from auth.use_cases.verify_audit_trail import Verdict, VerifyAuditTrail

FINDINGS_SHOWN_MAX = 50  # one fault early on may make much look wrong


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser("verify-audit", help="recompute the audit trail's hashes, check its signatures")
    verify.add_argument("--anchors", type=Path, help="checkpoints kept elsewhere: a file of anchors, or a log")
    commands.add_parser("audit-key", help="print the public key that signs checkpoints")


async def verify_audit(settings: AuthSettings, anchors: Path | None) -> int:
    """0 where all is well, 1 where it is not. Raises MissingSetting, OSError, BrokenRecord, PyMongoError."""
    keys = TrustedKeys(trusted_keys(settings))
    path = anchors or settings.audit_anchors
    connection = connect(settings.required("mongo_url"), settings.database_name)
    try:
        await init_documents(connection.database, DOCUMENTS)
        verify = VerifyAuditTrail(audit_trail=MongoAuditTrail(), records=MongoAuditRecords(), is_signed=keys.has_signed)
        with click.progressbar(length=await verify.count(), label="verifying", file=sys.stderr) as bar:
            verdict = await verify(_anchored(path), lambda: bar.update(1))
    finally:
        await connection.close()
    _tell(verdict, path)
    return 1 if verdict.findings else 0


def print_key(settings: AuthSettings) -> int:
    """For CRYPTOVAULT_AUDIT_PUBLIC_KEYS of who verifies without the secret. Raises MissingSetting."""
    click.echo(CheckpointKey(settings.root_secret.encode()).public_key.hex())
    return 0


def trusted_keys(settings: AuthSettings) -> set[bytes]:
    """Those that are named, and the root's own where the root is known. MissingSetting where there is neither."""
    keys = {bytes.fromhex(key) for key in settings.audit_public_keys.split(",") if key}
    try:
        keys.add(CheckpointKey(settings.root_secret.encode()).public_key)
    except MissingSetting:
        if not keys:
            raise MissingSetting("audit_public_keys") from None
    return keys


def _anchored(path: Path | None) -> Iterator[Checkpoint]:
    return read_anchors(path) if path else iter(())


def _tell(verdict: Verdict, anchors: Path | None) -> None:
    for stream, entries in verdict.entries.items():
        click.echo(f"{stream:<24} {entries} entries")
    click.echo(f"{'checkpoints':<24} {verdict.checkpoints}")
    click.echo(f"{'not signed yet':<24} {verdict.unsigned} entries")
    if anchors is None:
        click.echo("No anchors were given: that the newest checkpoints are still there cannot be said.")
    for finding in verdict.findings[:FINDINGS_SHOWN_MAX]:
        click.secho(f"WRONG  {finding}", fg="red")
    if len(verdict.findings) > FINDINGS_SHOWN_MAX:
        click.secho(f"WRONG  and {len(verdict.findings) - FINDINGS_SHOWN_MAX} more", fg="red")
