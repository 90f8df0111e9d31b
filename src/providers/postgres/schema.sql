-- The table that automc-router reads its routes from, and the triggers that tell it about changes.
-- It may be run again at any time, as the table's owner: automc-router schema | psql <connection of the owner>
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
-- Where players of some servers shall go elsewhere while these are down:
--   ALTER TABLE servers ADD COLUMN fallback TEXT;
--   the hostname whose route takes the logins meanwhile; NULL: as AUTOMC_FALLBACK says
CREATE TABLE IF NOT EXISTS servers (
  name    TEXT PRIMARY KEY,
  domain  TEXT NOT NULL,
  address TEXT NOT NULL,
  state   TEXT NOT NULL DEFAULT 'stopped',
  UNIQUE (domain)
);

-- Says which server changed, so that the router reads one row again and not all of them.
-- An empty payload says "read everything": after a TRUNCATE, and for a name longer than a payload may be (7,999 bytes).
-- Equal payloads of one transaction arrive as one notification. Updates of other columns say nothing.
CREATE OR REPLACE FUNCTION automc_routes_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  watched CONSTANT TEXT[] := ARRAY['name', 'domain', 'address', 'state', 'proxy_protocol', 'asleep_motd',
    'loading_motd', 'maintenance', 'start_timeout', 'auto_start', 'fallback'];
  changed TEXT;
  names TEXT[];
BEGIN
  IF TG_LEVEL = 'STATEMENT' THEN
    PERFORM pg_catalog.pg_notify('automc_routes_changed', '');
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    names := ARRAY[NEW.name::text];
  ELSIF TG_OP = 'DELETE' THEN
    names := ARRAY[OLD.name::text];
  ELSE
    -- Compared here and not by UPDATE OF, which does not see what BEFORE triggers change.
    IF NOT EXISTS (
      SELECT FROM unnest(watched) AS w (col) WHERE to_jsonb(OLD) -> w.col IS DISTINCT FROM to_jsonb(NEW) -> w.col
    ) THEN
      RETURN NULL;
    END IF;
    -- A rename is news about both names: the old one is gone, the new one is there.
    names := ARRAY[OLD.name::text, NEW.name::text];
  END IF;
  FOREACH changed IN ARRAY names LOOP
    PERFORM pg_catalog.pg_notify(
      'automc_routes_changed',
      CASE WHEN octet_length(changed) > 7999 THEN '' ELSE changed END
    );
  END LOOP;
  RETURN NULL;
END
$$;

-- Triggers that are there and enabled stay as they are: they may have been set to ALWAYS.
DROP TRIGGER IF EXISTS automc_routes_notify_proxy_protocol ON servers;
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = 'servers'::regclass AND tgname = 'automc_routes_notify' AND tgattr::text = '' AND tgenabled <> 'D'
  ) THEN
    DROP TRIGGER IF EXISTS automc_routes_notify ON servers;
    CREATE TRIGGER automc_routes_notify
      AFTER INSERT OR UPDATE OR DELETE ON servers
      FOR EACH ROW EXECUTE FUNCTION automc_routes_notify();
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = 'servers'::regclass AND tgname = 'automc_routes_notify_truncate' AND tgenabled <> 'D'
  ) THEN
    DROP TRIGGER IF EXISTS automc_routes_notify_truncate ON servers;
    CREATE TRIGGER automc_routes_notify_truncate
      AFTER TRUNCATE ON servers
      FOR EACH STATEMENT EXECUTE FUNCTION automc_routes_notify();
  END IF;
  -- Logical replication applies changes without firing ordinary triggers.
  IF EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = 'servers'::regclass) THEN
    ALTER TABLE servers ENABLE ALWAYS TRIGGER automc_routes_notify;
    ALTER TABLE servers ENABLE ALWAYS TRIGGER automc_routes_notify_truncate;
  END IF;
  -- Optional columns may have been added since: the router then looks at the table at once.
  IF EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = 'servers'::regclass AND NOT attisdropped
      AND attname IN ('proxy_protocol', 'asleep_motd', 'loading_motd', 'maintenance', 'start_timeout', 'auto_start', 'fallback')
  ) THEN
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
