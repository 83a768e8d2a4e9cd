-- The relational truth: who measures, what is measured, who may look. Results live in each client's own object.
-- Times are UTC epoch milliseconds. Tables with text keys are WITHOUT ROWID: a row costs one write, not two.

CREATE TABLE client (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  site TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'never_seen',
  status_reason TEXT NOT NULL DEFAULT 'registered',
  status_since INTEGER NOT NULL,
  last_seen_at INTEGER,
  version TEXT NOT NULL DEFAULT '',
  platform TEXT NOT NULL DEFAULT '{}',
  capabilities TEXT NOT NULL DEFAULT '{}',
  edge TEXT,
  install_id TEXT NOT NULL,
  token_epoch INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE test (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  destination TEXT NOT NULL,
  interval_s INTEGER NOT NULL,
  params TEXT NOT NULL DEFAULT '{}',
  schedule TEXT,
  enabled INTEGER NOT NULL DEFAULT 1,
  selector TEXT,
  thresholds TEXT NOT NULL DEFAULT '{}',
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE test_client (
  test_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  PRIMARY KEY (test_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX test_client_by_client ON test_client (client_id);

CREATE TABLE user (
  id TEXT NOT NULL PRIMARY KEY,
  username TEXT NOT NULL UNIQUE COLLATE NOCASE,
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL,
  sites TEXT,
  disabled INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  last_login_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  user_id TEXT,
  expires_at INTEGER,
  max_uses INTEGER,
  uses INTEGER NOT NULL DEFAULT 0,
  site TEXT,
  tags TEXT NOT NULL DEFAULT '{}',
  scopes TEXT NOT NULL DEFAULT '[]',
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE system_config (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '{}',
  ip TEXT
) STRICT;
