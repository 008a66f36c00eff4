/** The first schema. A migration is never edited once released: the next one changes what it made. */
export const START = `
CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Releases are immutable; the envelope comes last so that lists never read its pages.
CREATE TABLE release (
  id INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision BETWEEN 1 AND 9007199254740991),
  digest TEXT NOT NULL,
  issued TEXT NOT NULL,
  expires TEXT NOT NULL,
  notes TEXT NOT NULL,
  mode TEXT NOT NULL,
  signers TEXT NOT NULL,
  published_ms INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  UNIQUE (channel, revision)
) STRICT;
CREATE INDEX release_by_age ON release (revision, channel);

CREATE TABLE release_target (
  channel TEXT NOT NULL,
  revision INTEGER NOT NULL,
  system TEXT NOT NULL,
  variant TEXT NOT NULL,
  store_path TEXT NOT NULL,
  paths INTEGER NOT NULL,
  nar_size INTEGER NOT NULL,
  closure_digest TEXT NOT NULL,
  PRIMARY KEY (channel, revision, system, variant),
  FOREIGN KEY (channel, revision) REFERENCES release (channel, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_target_by_path ON release_target (channel, store_path, revision);

-- Kept by the digest of their text: releases that share a closure share its listing.
CREATE TABLE closure_listing (
  digest TEXT NOT NULL PRIMARY KEY,
  listing TEXT NOT NULL
) STRICT;

CREATE TABLE channel (
  name TEXT NOT NULL PRIMARY KEY,
  head_revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who a device is. Rarely written: what changes with each check-in is in device_seen, what it says in device_state.
CREATE TABLE device (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),
  fingerprint TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
  standing TEXT NOT NULL,
  channel TEXT NOT NULL,
  system TEXT NOT NULL,
  variant TEXT NOT NULL,
  clone_suspected INTEGER NOT NULL DEFAULT 0 CHECK (clone_suspected IN (0, 1)),
  enrolled_ms INTEGER NOT NULL,
  hostname TEXT NOT NULL,
  facts TEXT NOT NULL
) STRICT;
CREATE INDEX device_by_channel ON device (channel, name);
CREATE INDEX device_by_channel_standing ON device (channel, standing, name);

CREATE TABLE device_seen (
  device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
  seen_ms INTEGER,
  seq INTEGER NOT NULL,
  nonce TEXT NOT NULL,
  previous_nonce TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  -- The boots before, newest first, separated by blanks.
  earlier_boots TEXT NOT NULL,
  -- Of what the state says, without what moves all the time: equal means nothing to write.
  state_hash TEXT NOT NULL
) STRICT;

CREATE TABLE device_state (
  device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
  phase TEXT NOT NULL,
  target_digest TEXT,
  result TEXT,
  running TEXT,
  -- What the last event was about: another value is a new event.
  story TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT;

-- What happened, changes only: a heartbeat is no event.
CREATE TABLE event (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  device_id INTEGER REFERENCES device (id) ON DELETE SET NULL,
  channel TEXT,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_device ON event (device_id, id);

CREATE TABLE device_log (
  device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  channel TEXT NOT NULL,
  revision INTEGER NOT NULL,
  digest TEXT NOT NULL,
  log TEXT NOT NULL,
  PRIMARY KEY (device_id, seq)
) STRICT;

-- How many devices stand where, kept by triggers: counting 100,000 rows for every page would take 50 to 150 ms.
CREATE TABLE standing_count (
  channel TEXT NOT NULL,
  standing TEXT NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (channel, standing)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER device_counted AFTER INSERT ON device BEGIN
  INSERT INTO standing_count (channel, standing, devices) VALUES (new.channel, new.standing, 1)
    ON CONFLICT DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER device_uncounted AFTER DELETE ON device BEGIN
  UPDATE standing_count SET devices = devices - 1 WHERE channel = old.channel AND standing = old.standing;
END;
CREATE TRIGGER device_recounted AFTER UPDATE OF channel, standing ON device
WHEN old.channel <> new.channel OR old.standing <> new.standing BEGIN
  UPDATE standing_count SET devices = devices - 1 WHERE channel = old.channel AND standing = old.standing;
  INSERT INTO standing_count (channel, standing, devices) VALUES (new.channel, new.standing, 1)
    ON CONFLICT DO UPDATE SET devices = devices + 1;
END;

-- How far each device is with each release of its channel: the one definition of a standing.
-- A device that says it is busy with the release is updating even where it already runs it: its health is not proved yet.
CREATE VIEW device_release AS
SELECT d.id AS device_id, d.name, d.channel, r.revision, CASE
  WHEN d.status <> 'accepted' THEN d.status
  WHEN t.store_path IS NULL THEN 'no_target'
  WHEN s.target_digest = r.digest AND s.phase <> 'idle' THEN 'updating'
  WHEN s.target_digest = r.digest
    AND s.result IN ('rolled_back', 'rollback_failed', 'failed_before_activation', 'refused') THEN 'failed'
  WHEN s.running = t.store_path THEN 'current'
  ELSE 'waiting'
END AS standing
FROM device AS d
JOIN release AS r ON r.channel = d.channel
LEFT JOIN release_target AS t
  ON t.channel = r.channel AND t.revision = r.revision AND t.system = d.system AND t.variant = d.variant
LEFT JOIN device_state AS s ON s.device_id = d.id;

-- The same for the channel's current release; a channel without one has nothing for anybody.
CREATE VIEW device_standing AS
SELECT d.id AS device_id, COALESCE(
  (SELECT v.standing FROM channel AS c JOIN device_release AS v ON v.revision = c.head_revision
   WHERE c.name = d.channel AND v.device_id = d.id),
  CASE WHEN d.status <> 'accepted' THEN d.status ELSE 'no_target' END
) AS standing
FROM device AS d;
`;
