-- Where each client answers other clients that measure against it. Written when it changed, never by a measurement.

CREATE TABLE reflector (
  client_id TEXT NOT NULL PRIMARY KEY,
  addresses TEXT NOT NULL,
  -- Null where the client can be measured by its address alone.
  port INTEGER,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
