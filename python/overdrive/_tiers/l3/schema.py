"""The tables of a shard, and every statement that runs on them.

`entry` is a table in the order of insertion with a unique index on the key: values of 1 kB stay on the leaf, where a
table without rowid would move them to overflow pages, and inserts append. Counters, the index of tags and the list of
files to remove are kept by triggers: exact, in the same transaction, and free for entries that have neither. There is
no index on the expiry, since every write would pay for it: `space` samples instead.
"""

from __future__ import annotations

__all__ = ("FORMAT", "STAMP", "TABLES", "TRASH", "Sql")

FORMAT = 1
STAMP = 0x01010101
"""The format as it is stored: four equal bytes, so that another format can be told from a flipped bit."""
OVERHEAD = 64
"""What a row costs besides its key and its blob, in bytes, about."""

TRASH = "CREATE TABLE trash(file TEXT PRIMARY KEY) WITHOUT ROWID"

TABLES = (
    """CREATE TABLE entry(
        id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, expires REAL NOT NULL, version INTEGER NOT NULL,
        epoch INTEGER NOT NULL, touched INTEGER NOT NULL, size INTEGER NOT NULL, attach BLOB, tags BLOB, file TEXT,
        blob BLOB)""",
    "CREATE INDEX filed ON entry(file) WHERE file IS NOT NULL",
    "CREATE TABLE tag(id INTEGER, hash INTEGER, PRIMARY KEY(id, hash)) WITHOUT ROWID",
    "CREATE INDEX tagged ON tag(hash)",
    "CREATE TABLE counter(entries INTEGER NOT NULL, bytes INTEGER NOT NULL, probes INTEGER NOT NULL)",
    "INSERT INTO counter VALUES(0, 0, 0)",
    f"""CREATE TRIGGER inserted AFTER INSERT ON entry BEGIN
        UPDATE counter SET entries = entries + 1, bytes = bytes + new.size + length(new.key) + {OVERHEAD}; END""",
    """CREATE TRIGGER resized AFTER UPDATE OF size ON entry WHEN old.size <> new.size BEGIN
        UPDATE counter SET bytes = bytes + new.size - old.size; END""",
    f"""CREATE TRIGGER deleted AFTER DELETE ON entry BEGIN
        UPDATE counter SET entries = entries - 1, bytes = bytes - old.size - length(old.key) - {OVERHEAD}; END""",
    """CREATE TRIGGER retagged AFTER UPDATE OF tags ON entry WHEN old.tags IS NOT NULL BEGIN
        DELETE FROM tag WHERE id = old.id; END""",
    """CREATE TRIGGER untagged AFTER DELETE ON entry WHEN old.tags IS NOT NULL BEGIN
        DELETE FROM tag WHERE id = old.id; END""",
    """CREATE TRIGGER refiled AFTER UPDATE OF file ON entry WHEN old.file IS NOT NULL AND old.file IS NOT new.file BEGIN
        INSERT OR IGNORE INTO trash VALUES(old.file); END""",
    """CREATE TRIGGER unfiled AFTER DELETE ON entry WHEN old.file IS NOT NULL BEGIN
        INSERT OR IGNORE INTO trash VALUES(old.file); END""",
)

_META = "expires, version, attach, tags, size, epoch, touched, file"


class Sql:
    """The statements."""

    BEGIN = "BEGIN IMMEDIATE"
    SNAPSHOT = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    FIND = "SELECT blob, expires, version, attach, tags, epoch, touched, size FROM entry WHERE key = ?"
    READ = f"SELECT blob, {_META} FROM entry WHERE key = ?"
    HEADER = f"SELECT substr(blob, 1, ?2), {_META} FROM entry WHERE key = ?1"
    PAGE = f"SELECT blob, {_META}, key, id FROM entry WHERE id > ? ORDER BY id LIMIT ?"
    KEYS = "SELECT key FROM entry WHERE key {comparison} ?1 AND expires > ?2{bound} ORDER BY key LIMIT ?3"
    WRITE = (
        "INSERT INTO entry(key, expires, version, epoch, touched, size, attach, tags, file, blob) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET expires = excluded.expires, "
        "version = excluded.version, epoch = excluded.epoch, touched = excluded.touched, size = excluded.size, "
        "attach = excluded.attach, tags = excluded.tags, file = excluded.file, blob = excluded.blob"
    )
    TAG = "INSERT OR IGNORE INTO tag(id, hash) SELECT id, ? FROM entry WHERE key = ?"
    DELETE = "DELETE FROM entry WHERE key = ? RETURNING file"
    DELETE_FILED = "DELETE FROM entry WHERE key = ? AND file = ?"
    DELETE_TAG = "DELETE FROM entry WHERE id IN (SELECT id FROM tag WHERE hash = ?) RETURNING file"
    DELETE_ID = "DELETE FROM entry WHERE id = ?"
    TOUCH = "UPDATE entry SET touched = max(touched, ?) WHERE key = ?"
    COUNTERS = "SELECT entries, bytes FROM counter"
    PROBE = "UPDATE counter SET probes = (probes + 1) % 1000000"
    BOUNDS = "SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)"
    SAMPLE = "SELECT id, expires, touched, size FROM entry WHERE id >= ? ORDER BY id LIMIT ?"
    TRASH = "SELECT file FROM trash LIMIT 256"
    UNTRASH = "DELETE FROM trash WHERE file = ?"
    FILED = "SELECT 1 FROM entry WHERE file = ? UNION ALL SELECT 1 FROM trash WHERE file = ?"
    CLEAR = (
        "INSERT OR IGNORE INTO trash SELECT file FROM entry WHERE file IS NOT NULL",
        "DROP TABLE entry",
        "DROP TABLE tag",
        "DROP TABLE counter",
    )
