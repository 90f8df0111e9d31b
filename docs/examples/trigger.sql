-- Routes from a table of your own, with a trigger of your own instead of those that "automc-router schema" prints.
-- Run as the owner of the table; it may be run again: psql -v ON_ERROR_STOP=1 -f trigger.sql "$OWNER_DSN"
BEGIN;

-- Stands for your table: the router needs name, domain and address, and takes no notice of other columns.
CREATE TABLE IF NOT EXISTS servers (
  name      TEXT PRIMARY KEY,
  domain    TEXT NOT NULL UNIQUE,
  address   TEXT NOT NULL,
  owner     TEXT,
  memory_mb INTEGER
);

-- The payload is a server's name: its row is read again. An empty payload means that all rows are.
CREATE OR REPLACE FUNCTION notify_router() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('automc_routes_changed', COALESCE(NEW.name, OLD.name));
  IF TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
    PERFORM pg_notify('automc_routes_changed', OLD.name);
  END IF;
  RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS notify_router ON servers;
CREATE TRIGGER notify_router AFTER INSERT OR UPDATE OR DELETE ON servers
  FOR EACH ROW EXECUTE FUNCTION notify_router();

-- A role that may do nothing but read the routes.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'router') THEN
    CREATE ROLE router LOGIN;
  END IF;
END $$;
GRANT SELECT ON servers TO router;

COMMIT;
