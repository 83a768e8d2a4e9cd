-- What failed for a client and what witnesses saw of it. Written when an event opens, when its witnesses have spoken, and when it closes.
-- The id begins with the time, so that the newest are found by the key; the evidence stands last, so that a list need not read it.

CREATE TABLE event (
  id TEXT NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  test_id TEXT NOT NULL,
  peer_id TEXT,
  kind TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  completed_at INTEGER,
  closed_at INTEGER,
  verdict TEXT,
  summary TEXT NOT NULL,
  evidence TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX event_by_client ON event (client_id);
