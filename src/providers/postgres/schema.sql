-- The table that automc-router reads its routes from, and the triggers that tell it about changes.
-- It may be run again at any time: `automc-router schema | psql "$AUTOMC_DSN"`.
-- The router itself only reads; its role needs no more than: GRANT SELECT ON servers TO <role>;

BEGIN;

-- One row per server.
--   name     what the control plane calls it: the server of POST /servers/{name}/start
--   domain   the hostnames that lead to it, comma separated; '*.example.com' stands for every name below it
--   address  where it listens, 'host:port'; '' (or no domain) means: not routed
--   state    for the control plane and for people; the router never reads it
-- Where USE_PROXY_PROTOCOL is wrong for some servers, add a column that says so, and run this file again:
--   ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN;
--   true or false: whether the server gets a PROXY protocol header; NULL: as USE_PROXY_PROTOCOL says
CREATE TABLE IF NOT EXISTS servers (
  name    TEXT PRIMARY KEY,
  domain  TEXT NOT NULL,
  address TEXT NOT NULL,
  state   TEXT NOT NULL DEFAULT 'stopped',
  UNIQUE (domain)
);

-- Says which server changed, so that the router reads one row again and not all of them.
-- An empty payload says "read everything": after a TRUNCATE, and for a name longer than a payload may be (7,999 bytes).
-- Equal payloads of one transaction arrive as one notification.
CREATE OR REPLACE FUNCTION automc_routes_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed TEXT;
BEGIN
  IF TG_LEVEL = 'STATEMENT' THEN
    PERFORM pg_catalog.pg_notify('automc_routes_changed', '');
    RETURN NULL;
  END IF;
  -- A rename is news about both names: the old one is gone, the new one is there.
  FOREACH changed IN ARRAY CASE TG_OP
    WHEN 'INSERT' THEN ARRAY[NEW.name]
    WHEN 'DELETE' THEN ARRAY[OLD.name]
    ELSE ARRAY[OLD.name, NEW.name]
  END LOOP
    PERFORM pg_catalog.pg_notify(
      'automc_routes_changed',
      CASE WHEN octet_length(changed) > 7999 THEN '' ELSE changed END
    );
  END LOOP;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS automc_routes_notify ON servers;
CREATE TRIGGER automc_routes_notify
  AFTER INSERT OR UPDATE OF name, domain, address, state OR DELETE ON servers
  FOR EACH ROW EXECUTE FUNCTION automc_routes_notify();

DROP TRIGGER IF EXISTS automc_routes_notify_truncate ON servers;
CREATE TRIGGER automc_routes_notify_truncate
  AFTER TRUNCATE ON servers
  FOR EACH STATEMENT EXECUTE FUNCTION automc_routes_notify();

-- The optional column, where it has been added: its changes are told too, and so is the column itself.
DROP TRIGGER IF EXISTS automc_routes_notify_proxy_protocol ON servers;
DO $$
BEGIN
  IF EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = 'servers'::regclass AND attname = 'proxy_protocol' AND NOT attisdropped
  ) THEN
    CREATE TRIGGER automc_routes_notify_proxy_protocol
      AFTER UPDATE OF proxy_protocol ON servers
      FOR EACH ROW EXECUTE FUNCTION automc_routes_notify();
    PERFORM pg_catalog.pg_notify('automc_routes_changed', '');
  END IF;
END
$$;

-- An older trigger of another name still works, but its empty payload makes the router read every row at each change.
-- It is not ours to drop; this says which one it is.
DO $$
DECLARE
  other TEXT;
BEGIN
  FOR other IN
    SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = 'servers'::regclass AND NOT t.tgisinternal
      AND p.proname <> 'automc_routes_notify' AND p.prosrc LIKE '%automc_routes_changed%'
  LOOP
    RAISE NOTICE 'trigger % also notifies automc_routes_changed; to be rid of it: DROP TRIGGER % ON servers;',
      other, quote_ident(other);
  END LOOP;
END
$$;

COMMIT;
